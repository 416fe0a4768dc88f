import type { Topics } from '#schemas/topics.ts'
import type { Log } from '#streams/log/log.ts'
import { type Batch, topicsRead } from './projection.ts'
import type { ProjectionRunner, RunnerState } from './runner.ts'

export interface ProjectionStatus {
  readonly projection: string
  readonly version: number
  readonly state: RunnerState
  /** Committed records not applied; null where this process cannot know (it does not own the projection). */
  readonly lagRecords: number | null
  /** Age of the oldest of them, in seconds; 0 when there is none. */
  readonly lagSeconds: number | null
  /** What it waits for, while failing. */
  readonly error: { readonly code: string; readonly message: string } | null
}

/** Status of one projection, measured against the log now. Errors: those of the log. */
export async function statusOf(
  runner: ProjectionRunner<Batch>,
  log: Log,
  topics: Topics,
  nowMs: number,
): Promise<ProjectionStatus> {
  const { name, engine, state, error } = runner
  const base = { projection: name, version: engine.version, state, error }
  const feed = runner.session?.feed
  if (feed === undefined) return { ...base, lagRecords: null, lagSeconds: null }
  let lagRecords = 0
  for (const topic of topicsRead(engine, topics))
    for (const [partition, end] of (await log.admin.endOffsets(topic)).entries())
      lagRecords += Math.max(0, end - feed.position(topic, partition))
  // Marks of transactions at the end count until they are noted, within a second or so.
  if (lagRecords === 0) return { ...base, lagRecords: 0, lagSeconds: 0 }
  const sinceMs = feed.oldestPendingMs ?? runner.lastRecordMs ?? nowMs
  return { ...base, lagRecords, lagSeconds: Math.max(0, nowMs - sinceMs) / 1_000 }
}
