import type { MetricSamples } from '../platform/metrics.ts'
import type { TaskView } from './task-view.ts'

export interface HostView {
  /** True once the group has given it partitions, even none. */
  readonly joined: boolean
  readonly tasks: readonly TaskView[]
}

/**
 * A member of the processor's group with its tasks, here or on a thread of its own. What it answers is plain data.
 * It is prepared, started and closed once; before and after it has no tasks.
 */
export interface TaskHost {
  /** Everything that comes before joining. Errors: those of the registry (`registry_unavailable`) and the log. */
  prepare(): Promise<void>
  /** Joins the group and works on the partitions it is given. Errors: those of the log. */
  start(): Promise<void>
  view(): Promise<HostView>
  metrics(): Promise<MetricSamples>
  /** Ends every task after its current step and leaves the group. Harmless when repeated, and at any time. */
  close(): Promise<void>
}

/** Closes all, also where one fails: its error is thrown when the others have ended. */
export async function closeHosts(hosts: readonly TaskHost[]): Promise<void> {
  const closed = await Promise.allSettled(hosts.map((host) => host.close()))
  for (const outcome of closed) if (outcome.status === 'rejected') throw outcome.reason
}
