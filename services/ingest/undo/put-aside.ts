import { letterBounds, type ScanDeps, scanLetters } from '../dead-letters/scan.ts'

/**
 * Offsets of transactions, by partition, that were in conflict and were discarded by somebody: taking back what they were
 * in conflict with does not bring them back. Known as long as the log keeps the letters.
 */
export async function putAside(deps: ScanDeps): Promise<number[][]> {
  const { pool, log, topics } = deps
  const offsets = (await log.admin.endOffsets(topics.transactions)).map((): number[] => [])
  const discards = await pool.query(`select from ingest.dead_letter_actions where kind = 'discard' limit 1`)
  if (discards.rowCount === 0) return offsets
  const { starts, ends } = await letterBounds(deps)
  for (const [partition, to] of ends.entries())
    for await (const { letters } of scanLetters(deps, { partition, from: starts[partition] ?? 0, to }))
      for (const { about, mark } of letters)
        if (mark?.kind === 'discard' && about.reason === 'conflicting_duplicate' && about.topic === topics.transactions)
          offsets[about.partition]?.push(about.offset)
  return offsets
}
