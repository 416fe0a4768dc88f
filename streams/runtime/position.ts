import { LoyaltyError } from '../core/error.ts'
import type { Bytes, Log } from '../log/log.ts'
import { readLast } from '../log/range.ts'

/** What began a sweep: a change of the context, or of what evaluation depends on beside it. */
export type SweepCause = 'context' | 'evaluation'

/**
 * Position of a task, as the header of its last committed block holds it (runtime.md §2). It is the truth about the task:
 * whoever wants to know how far a task is reads this, never the group offset.
 */
export interface TaskPosition {
  /** Programme the task works for (uuid). */
  readonly programme: string
  /** Next offset in transactions[p]. */
  readonly transactions: number
  /** Next offset in control. */
  readonly control: number
  /** Key of the last client a running sweep has passed, in hex ('' = just begun), or null where no sweep runs. */
  readonly sweep: string | null
  /** Why the sweep runs, null where none does; missing in older blocks, whose sweeps were all begun by the context. */
  readonly sweepCause?: SweepCause | null
  /**
   * Name of what this step's evaluation depended on beside ledgers and context, null for nothing: once no sweep runs, all
   * rows were evaluated with it. Missing in older blocks.
   */
  readonly evaluatedWith?: string | null
  /** Number of the step that wrote this block; the first is 1. */
  readonly step: number
  /** Random id of this try of the step. */
  readonly attempt: string
  /** Version of the fold; state of another version is rebuilt. */
  readonly foldVersion: number
  /** Offsets of transactions that this step sent to dead letters. */
  readonly dead: readonly number[]
  /** Offsets of transactions that this step passed on to other partitions; missing in older blocks. */
  readonly forwarded?: readonly number[]
  /** 1-based part of the block and number of parts; the last part is the newest record. */
  readonly part: number
  readonly parts: number
}

/** A position's sweep as the key behind which clients are taken; null for the first. */
export function cursorOf(sweep: string | null): Bytes | null {
  return sweep === null || sweep === '' ? null : Buffer.from(sweep, 'hex')
}

/** Header of every block in `accepted`: the position as JSON in UTF-8. */
export const positionHeader = 'loyalty-position'

export function encodePosition(position: TaskPosition): Bytes {
  return Buffer.from(JSON.stringify(position))
}

/** Errors: `position_unreadable` where the header is missing or damaged. */
export function decodePosition(headers: Readonly<Record<string, Bytes>>): TaskPosition {
  const bytes = headers[positionHeader]
  try {
    if (bytes === undefined) throw new Error('header missing')
    return JSON.parse(Buffer.from(bytes).toString()) as TaskPosition
  } catch (cause) {
    throw new LoyaltyError('position_unreadable', `a block has no readable ${positionHeader} header`, { cause })
  }
}

/** Positions of all tasks by partition; null where a task has not committed a step yet. */
export async function readPositions(log: Log, acceptedTopic: string): Promise<(TaskPosition | null)[]> {
  const partitions = (await log.admin.partitions(acceptedTopic)) ?? 0
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const last = await readLast(log, acceptedTopic, partition)
      return last && decodePosition(last.headers)
    }),
  )
}
