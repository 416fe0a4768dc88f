import { isoOfDay } from '#streams/domain/calendar.ts'
import type { Worker } from '#streams/runtime/worker.ts'
import type { LoyaltyContext } from '#streams/topologies/context.ts'
import { modelName } from '#streams/topologies/models.ts'
import type { TaskLag } from './lag.ts'

/** Why a task was stopped. */
export interface TaskFault {
  readonly code: string
  readonly message: string
}

/** What `/status` says of a task: plain data. */
export type TaskView = ReturnType<typeof describeTask>

/** `fault` is why a task of the partition was stopped the last time, `lag` what was measured last. */
export function describeTask(
  task: Worker<LoyaltyContext>['tasks'][number],
  lag: TaskLag | undefined,
  fault: TaskFault | undefined,
) {
  const { position, context, stateSize } = task
  return {
    partition: task.partition,
    state: task.state,
    // What a person has to mend before a restart; null unless the task is stopped.
    fault: task.state === 'stopped' ? (fault ?? null) : null,
    // Without what it lists of its last step: that is the log's business, and may be long.
    position: position && { ...position, dead: [], forwarded: [] },
    end_offset: Math.max(task.endOffset, lag?.endOffset ?? 0),
    // As of the last second; null before the first measurement.
    lag_records: lag?.records ?? null,
    lag_seconds: lag?.seconds ?? null,
    as_of: context?.domain.asOf.date == null ? null : isoOfDay(context.domain.asOf.date),
    model: context?.domain.model ?? null,
    // Another than `model` while that one cannot be loaded; null before the first date.
    model_in_force: context?.models.find((model) => modelName(model) === position?.evaluatedWith) ?? null,
    state_entries: stateSize?.entries ?? null,
    state_bytes: stateSize?.bytes ?? null,
  }
}
