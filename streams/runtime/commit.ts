import { hasCode, LoyaltyError, messageOf } from '../core/error.ts'
import { insideHook } from '../core/hooks.ts'
import { type PreparedStep, produce } from './step.ts'
import { decodeMeta, encodeMeta, type StoredMeta } from './stored-meta.ts'
import { lastPosition } from './takeover.ts'
import type { Running, TaskDependencies } from './task-parts.ts'
import type { TaskState } from './task-state.ts'

/** Ends of rows and blocks seen before the step began: lower bounds that let a later restore start late. */
export interface LogBounds {
  readonly rows: number
  readonly blocks: number
}

/**
 * Produces and commits a prepared step, then stores it (runtime.md §3.5–3.6). On return `running` is at the step's
 * position; after an error it is as before.
 *
 * Errors: `step_dropped` (surely not committed, the writer is fresh: do it again), `log_fenced` and `task_moved`
 * (somebody else owns the task), `state_moved` (another process wrote our store); all but the first close the task dirty.
 */
export async function commitStep<Context>(
  deps: TaskDependencies<Context>,
  running: Running<Context>,
  step: PreparedStep<Context>,
  bounds: LogBounds,
  enter: (state: TaskState) => void,
): Promise<void> {
  const { partition, crash, observer } = deps
  const begunAt = performance.now()
  let producedAt = begunAt
  try {
    await produce(running.writer, step)
    crash('after-produce')
    producedAt = performance.now()
    crash('before-commit')
    const { groupOffset, writer } = running
    if (groupOffset.due) await groupOffset.tell(writer, step.position.transactions)
    else await writer.commit()
    crash('commit-sent-reply-lost')
  } catch (error) {
    if (hasCode(error, 'log_fenced')) throw error
    observer.warning('commit_uncertain', messageOf(error), { partition, step: step.position.step })
    if (!(await settle(deps, running, step, enter)))
      throw new LoyaltyError('step_dropped', 'a step was not committed and is done again', {
        retriable: true,
        cause: error,
      })
  }
  crash('after-commit')
  const committedAt = performance.now()
  await store(deps, running, step, bounds)
  crash('after-store')
  observer.stepped({
    partition,
    step: step.position.step,
    ...step.counts,
    foldMs: step.foldMs,
    evaluateMs: step.evaluateMs,
    produceMs: producedAt - begunAt,
    commitMs: committedAt - producedAt,
    storeMs: performance.now() - committedAt,
  })
}

/**
 * The outcome of a commit is not known. Still owner: fence and read the last block. True when the step is in the log,
 * false when the position is the one it started from. Without ownership no fencing: it would shut out the rightful owner.
 */
async function settle<Context>(
  deps: TaskDependencies<Context>,
  running: Running<Context>,
  step: PreparedStep<Context>,
  enter: (state: TaskState) => void,
): Promise<boolean> {
  enter('uncertain')
  if (!(await deps.stillOwner())) throw new LoyaltyError('task_moved', 'the partition was assigned to another member')
  await running.writer.close().catch(() => {})
  running.writer = deps.log.transactionalWriter(deps.transactionalId)
  await running.writer.fence()
  const last = await lastPosition(deps.log, deps.topics.blocks, deps.partition)
  const ours = last?.attempt === step.position.attempt
  if (!ours && (last?.attempt ?? '') !== running.position.attempt)
    throw new LoyaltyError('task_moved', 'another owner committed a step of this task')
  enter('running')
  return ours
}

async function store<Context>(
  deps: TaskDependencies<Context>,
  running: Running<Context>,
  step: PreparedStep<Context>,
  bounds: LogBounds,
): Promise<void> {
  const before = running.meta
  const meta: StoredMeta = {
    programme: step.position.programme,
    foldVersion: step.position.foldVersion,
    transactions: step.position.transactions,
    attempt: step.position.attempt,
    rowsFrom: Math.max(before.rowsFrom, bounds.rows),
    blocksFrom: Math.max(before.blocksFrom, bounds.blocks),
    last: step.last ?? before.last,
  }
  const unmoved = (bytes: Uint8Array | undefined) => {
    const stored = decodeMeta(bytes)
    return stored !== null && stored.transactions === before.transactions && stored.attempt === before.attempt
  }
  await running.store.commit(step.working.changes(), encodeMeta(meta), unmoved, insideHook(deps.crash, 'inside-store'))
  step.working.keep()
  running.meta = meta
  running.position = step.position
  running.context = step.context
}
