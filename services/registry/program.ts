import { Hono } from 'hono'
import { messageOf } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import { equipServer, listen } from '../platform/http.ts'
import type { Logger } from '../platform/logging.ts'
import type { Metrics } from '../platform/metrics.ts'
import { addRegistryRoutes } from './routes.ts'
import { SchemaLog } from './schema-log.ts'

export interface RegistryDeps {
  readonly log: Log
  /** The compacted topic that holds the schemas; created where it is missing. */
  readonly topic: string
  /** 0 takes a free one. */
  readonly port: number
  /** Default 127.0.0.1. */
  readonly host?: string
  readonly telemetry?: { readonly logger: Logger; readonly metrics: Metrics }
}

export interface RunningRegistry {
  readonly url: string
  readonly port: number
  /** Ends requests and the tail of the topic; the log stays open. */
  close(): Promise<void>
}

/**
 * Starts a schema registry (Confluent's REST interface, see routes.ts) over a topic of the log. It serves once it has read
 * the topic to its end. Several may run over one topic.
 *
 * Errors: those of the log, `port_in_use`.
 */
export async function startRegistry(deps: RegistryDeps): Promise<RunningRegistry> {
  const { telemetry } = deps
  const schemas = await SchemaLog.open(deps.log, deps.topic, {
    onFault: (error) => telemetry?.logger.warn({ error }, messageOf(error)),
  })
  try {
    const app = new Hono()
    if (telemetry === undefined) app.get('/healthcheck', (c) => c.json({ status: 'ok' }))
    else equipServer(app, { ...telemetry, ready: () => [readiness(schemas)] })
    addRegistryRoutes(app, schemas)
    const server = await listen(app, { port: deps.port, bind: deps.host ?? '127.0.0.1' })
    return {
      url: server.url,
      port: server.port,
      close: async () => {
        await server.close()
        await schemas.close()
      },
    }
  } catch (error) {
    await schemas.close()
    throw error
  }
}

function readiness(schemas: SchemaLog) {
  const name = 'schema topic'
  return schemas.fault === null ? { name, ok: true } : { name, ok: false, message: messageOf(schemas.fault) }
}
