import type { Pool } from 'pg'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { type Letter, LetterReader } from './letter.ts'
import { type Mark, readMarks } from './marks.ts'
import type { LetterRange } from './selector.ts'

export interface ScanDeps {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  /** Database with the schema `ingest`. */
  readonly pool: Pool
}

/** A letter with what was done about it; null while it is open. */
export interface KnownLetter extends Letter {
  readonly mark: Mark | null
}

/** Letters of one fetch. */
export interface ScannedBatch {
  readonly partition: number
  readonly letters: readonly KnownLetter[]
  /** Records that the platform did not write. */
  readonly unreadable: number
  readonly nextOffset: number
}

export const states = ['open', 'replayed', 'discarded'] as const
export type LetterState = (typeof states)[number]

export function stateOf({ mark }: Pick<KnownLetter, 'mark'>): LetterState {
  if (mark === null) return 'open'
  return mark.kind === 'replay' ? 'replayed' : 'discarded'
}

/** Where the dead letters begin and end now. */
export async function letterBounds({ log, topics }: Pick<ScanDeps, 'log' | 'topics'>) {
  const [starts, ends] = await Promise.all([
    log.admin.startOffsets(topics.deadLetters),
    log.admin.endOffsets(topics.deadLetters),
  ])
  return { starts, ends }
}

/**
 * The letters of a range in the order of their offsets, a fetch at a time: memory does not grow with their number.
 * Errors: those of `readRange`; `registry_unavailable`.
 */
export async function* scanLetters(
  deps: ScanDeps,
  { partition, from, to }: LetterRange,
  reader = new LetterReader(deps.registry),
): AsyncGenerator<ScannedBatch> {
  for await (const batch of readRange(deps.log, deps.topics.deadLetters, partition, from, to)) {
    const marks = await readMarks(deps.pool, partition, batch.fromOffset, batch.nextOffset)
    const letters: KnownLetter[] = []
    let unreadable = 0
    for (const record of batch.records) {
      const letter = await reader.read(record, partition)
      if (letter === null) unreadable++
      else letters.push({ ...letter, mark: marks.of(letter.offset) })
    }
    yield { partition, letters, unreadable, nextOffset: batch.nextOffset }
  }
}
