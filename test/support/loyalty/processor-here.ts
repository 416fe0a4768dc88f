import { createMetrics } from '#services/platform/metrics.ts'
import { type RunningProcessor, startProcessor } from '#services/processor/program.ts'
import { type TaskHostDependencies, taskHost } from '#services/processor/task-host.ts'

export interface ProcessorHere extends Omit<TaskHostDependencies, 'metrics'> {
  /** Default: 127.0.0.1. */
  readonly bind?: string
  /** Default: a free one. */
  readonly port?: number
}

/** The processor of one thread, in the process of the test. */
export function processorHere({ bind = '127.0.0.1', port = 0, ...deps }: ProcessorHere): Promise<RunningProcessor> {
  return startProcessor({
    hosts: [taskHost({ ...deps, metrics: createMetrics('processor', { ofProcess: false }) })],
    logger: deps.logger,
    metrics: createMetrics('processor'),
    bind,
    port,
  })
}
