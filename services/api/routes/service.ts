import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { messageOf } from '#streams/core/error.ts'
import { bounded } from '../bounded.ts'
import { jsonAnswer, serviceStatusSchema } from '../schemas.ts'
import type { ApiState } from '../state.ts'
import { asOfIso, modelOf } from '../views.ts'

const timeoutMs = 1_500

const statusRoute = createRoute({
  method: 'get',
  path: '/api/v1/service/status',
  tags: ['service'],
  summary: 'Parts of the platform, how far they are behind, the active model',
  responses: { 200: jsonAnswer(serviceStatusSchema, 'Always 200 while the API itself answers') },
})

export interface PartStatus {
  readonly name: string
  readonly status: 'up' | 'down'
  readonly message?: string
}

export function serviceRoutes(app: OpenAPIHono, state: ApiState): void {
  app.openapi(statusRoute, async (c) => {
    const [parts, freshness] = await Promise.all([partsOf(state), state.freshness.read()])
    const { context } = state.programme
    const { programme } = context
    const lags = freshness === null ? null : [freshness.processor, ...freshness.projections]
    return c.json(
      {
        service_status: parts.every(({ status }) => status === 'up') ? ('OPERATIONAL' as const) : ('DEGRADED' as const),
        api_version: state.deps.version,
        active_model_info: modelOf(context),
        as_of: asOfIso(context),
        programme:
          programme === null
            ? null
            : {
                currency: programme.currency,
                time_zone: programme.timeZone,
                clock: programme.clock,
                monetary_basis: programme.monetaryBasis,
                partitions: programme.partitions,
              },
        parts,
        lags: lags?.map(({ name, records, seconds }) => ({ name, lag_records: records, lag_seconds: seconds })) ?? null,
      },
      200,
    )
  })
}

/** Asks every part at once; one that does not answer in time is down. */
export async function partsOf({ deps }: ApiState): Promise<PartStatus[]> {
  const { pool, clickhouse, log, topics, urls } = deps
  return Promise.all([
    check('postgres', () => pool.query('SELECT 1')),
    check('clickhouse', () => clickhouse.query({ query: 'SELECT 1' }).then((result) => result.text())),
    check('log', () => log.admin.endOffsets(topics.control)),
    check('registry', () => answers(`${urls.registry}/subjects`)),
    check('ingest', () => answers(`${urls.ingest}/readiness`)),
    check('processor', () => answers(`${urls.processor}/readiness`)),
    check('projector', () => answers(`${urls.projector}/readiness`)),
  ])
}

async function check(name: string, ask: () => Promise<unknown>): Promise<PartStatus> {
  try {
    const late = new Error(`no answer within ${timeoutMs} ms`)
    if ((await bounded(ask(), late, timeoutMs)) === late) throw late
    return { name, status: 'up' }
  } catch (error) {
    return { name, status: 'down', message: messageOf(error) }
  }
}

async function answers(url: string): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${text.slice(0, 300)}`)
}
