import { Hono } from 'hono'
import { equipServer, listen, type ReadinessCheck } from '../platform/http.ts'
import type { Logger } from '../platform/logging.ts'
import { expositionOf, type Metrics } from '../platform/metrics.ts'
import { closeHosts, type HostView, type TaskHost } from './hosts.ts'

export interface ProcessorDependencies {
  /** Where the tasks run; closed with the processor. */
  readonly hosts: readonly TaskHost[]
  readonly logger: Logger
  /** Of the process and its HTTP server. */
  readonly metrics: Metrics
  readonly bind: string
  /** 0 takes a free port. */
  readonly port: number
}

export interface RunningProcessor {
  readonly port: number
  readonly url: string
  close(): Promise<void>
}

/**
 * Starts the stream processor: its hosts, which share the partitions, and in front of them one server that speaks for all.
 * Errors: those of the hosts, `port_in_use`.
 */
export async function startProcessor(deps: ProcessorDependencies): Promise<RunningProcessor> {
  const { hosts, logger, metrics } = deps
  // Who joins at the same time need not hand over partitions at once.
  await Promise.all(hosts.map((host) => host.prepare()))
  const views = () => Promise.all(hosts.map((host) => host.view()))
  const app = new Hono()
  equipServer(app, {
    logger,
    metrics,
    ready: async () => readiness(await views()),
    // A process of which one thread does not answer is not well.
    alive: views,
    exposition: async () => {
      const parts = [metrics.registry.getMetricsAsJSON(), ...hosts.map((host) => host.metrics())]
      return expositionOf(await Promise.all(parts))
    },
  })
  app.get('/status', async (c) => c.json({ tasks: tasksOf(await views()) }))
  const server = await listen(app, { port: deps.port, bind: deps.bind })
  await Promise.all(hosts.map((host) => host.start()))
  return {
    port: server.port,
    url: server.url,
    async close() {
      await closeHosts(hosts)
      await server.close()
    },
  }
}

/** Tasks of all hosts by partition, each with the number of its thread, from 1. */
function tasksOf(views: readonly HostView[]) {
  return views
    .flatMap(({ tasks }, index) => tasks.map((task) => ({ ...task, thread: index + 1 })))
    .sort((a, b) => a.partition - b.partition)
}

/** Ready once every task that was assigned runs; a stopped task needs a person. */
function readiness(views: readonly HostView[]): ReadinessCheck[] {
  const joined = views.every((view) => view.joined)
  const checks = tasksOf(views).map(({ partition, state }) => ({
    name: `task ${partition}`,
    ok: state === 'running' || state === 'uncertain',
    message: state,
  }))
  return [{ name: 'group', ok: joined, message: joined ? 'joined' : 'joining' }, ...checks]
}
