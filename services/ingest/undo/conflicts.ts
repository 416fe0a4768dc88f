import { decodeDeadLetterHeaders } from '#schemas/dead-letter.ts'
import { decoderOf } from '#schemas/decoder.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'

/** A receipt that came again with other content. */
export interface Conflict {
  readonly transaction_id: string
  readonly client_id: string
  readonly receipt_number: string | null
  readonly occurred_at: string
  readonly amount_minor: number
}

export interface Conflicts {
  readonly count: number
  /** The first ones, as the file has them. */
  readonly first: readonly Conflict[]
}

const shown = 20

/** Receipts of a batch that the stream refused because others with their ids came before: dead letters from `from` on. */
export async function conflictsOf(
  { log, topics, registry }: { readonly log: Log; readonly topics: Topics; readonly registry: Registry },
  batchId: string,
  from: readonly number[],
  signal?: AbortSignal,
): Promise<Conflicts> {
  const decoder = decoderOf(registry, 'TransactionRecorded')
  const first: Conflict[] = []
  let count = 0
  for (const [partition, end] of (await log.admin.endOffsets(topics.deadLetters)).entries())
    for await (const { records } of readRange(log, topics.deadLetters, partition, from[partition] ?? 0, end)) {
      signal?.throwIfAborted()
      for (const { headers, value } of records) {
        if (decodeDeadLetterHeaders(headers).reason !== 'conflicting_duplicate') continue
        const decoded = await decoder.read(value)
        if (decoded.kind !== 'ok' || decoded.event.batch_id !== batchId) continue
        count++
        if (first.length === shown) continue
        const { transaction_id, client_id, receipt_number, occurred_at, amount_minor } = decoded.event
        const at = new Date(occurred_at).toISOString()
        first.push({ transaction_id, client_id, receipt_number, occurred_at: at, amount_minor })
      }
    }
  return { count, first }
}
