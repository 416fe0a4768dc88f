import type { Log } from '#streams/log/log.ts'
import { readLast } from '#streams/log/range.ts'
import type { TaskPosition } from '#streams/runtime/position.ts'
import type { ProjectionProgress } from './ports.ts'

/** When the work that an upload caused is done (architecture.md, D12). */

/**
 * Per partition the offset after the last record, 0 where there is none. Not the end offset: a log may hold marks behind
 * the last record, which no reader's position need ever pass.
 */
export async function recordEnds(log: Log, topic: string): Promise<number[]> {
  const partitions = (await log.admin.partitions(topic)) ?? 0
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const last = await readLast(log, topic, partition)
      return last === null ? 0 : last.offset + 1
    }),
  )
}

/** A partition whose task is not where somebody waits for it, and where it is; null where that is not known. */
export interface Missing {
  readonly partition: number
  readonly position: TaskPosition | null
}

type Positions = readonly (TaskPosition | null)[]

/** Partitions whose tasks have transactions below `ends` still to take in. */
export function notPassed(positions: Positions, ends: readonly number[]): Missing[] {
  return ends.flatMap((end, partition) => {
    const position = positions[partition] ?? null
    return end === 0 || (position?.transactions ?? 0) >= end ? [] : [{ partition, position }]
  })
}

/** Partitions whose tasks have control records below `controlEnd` still to take in, or a sweep running. */
export function notSettled(positions: Positions, controlEnd: number): Missing[] {
  return positions.flatMap((position, partition) =>
    position !== null && position.control >= controlEnd && position.sweep === null ? [] : [{ partition, position }],
  )
}

/** True when every task has taken in the transactions below `ends`. */
export function havePassed(positions: Positions, ends: readonly number[]): boolean {
  return notPassed(positions, ends).length === 0
}

/** True when every task has taken the control records below `controlEnd` and has no sweep running. */
export function haveSettled(positions: Positions, controlEnd: number): boolean {
  return notSettled(positions, controlEnd).length === 0
}

/** Share of transactions between `from` and `ends` that the tasks have taken, 0 to 1. */
export function shareOf(
  positions: readonly (TaskPosition | null)[],
  from: readonly number[],
  ends: readonly number[],
): number {
  let total = 0
  let done = 0
  ends.forEach((end, partition) => {
    const start = from[partition] ?? 0
    total += Math.max(0, end - start)
    done += Math.max(0, Math.min(end, positions[partition]?.transactions ?? 0) - start)
  })
  return total === 0 ? 1 : done / total
}

const pollMs = 50

/**
 * Waits until what was committed to a topic by now can be read. A log may tell its partitions one by one that a transaction
 * was committed: whoever has seen a block of a step may still be shown `client-state` without the rows of that step.
 */
export async function untilDecided(log: Log, topic: string, signal?: AbortSignal): Promise<void> {
  const written = await log.admin.writtenEnds(topic)
  for (;;) {
    const ends = await log.admin.endOffsets(topic)
    if (written.every((end, partition) => (ends[partition] ?? 0) >= end)) return
    signal?.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

/** Waits until the projections have applied what the topics hold now. `onProgress` hears the share applied. */
export async function untilProjected(
  log: Log,
  topics: readonly string[],
  projections: ProjectionProgress,
  options: { onProgress?: (share: number) => void; signal?: AbortSignal } = {},
): Promise<void> {
  const ends = new Map<string, number[]>()
  for (const topic of topics) {
    await untilDecided(log, topic, options.signal)
    ends.set(topic, await recordEnds(log, topic))
  }
  const total = sum([...ends.values()].flat())
  for (;;) {
    options.signal?.throwIfAborted()
    const applied = await projections.applied()
    const missing = sum(
      [...ends].flatMap(([topic, offsets]) =>
        offsets.map((end, partition) => Math.max(0, end - (applied.get(topic)?.[partition] ?? 0))),
      ),
    )
    options.onProgress?.(total === 0 ? 1 : 1 - missing / total)
    if (missing === 0) return
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
