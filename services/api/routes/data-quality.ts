import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { dayOfIso, isoOfDay } from '#streams/domain/calendar.ts'
import { qualityAnswer } from '../quality-schemas.ts'
import {
  type QualityRange,
  readQualityByBatch,
  readQualityByDay,
  readQualityOfBatch,
} from '../read-models/data-quality.ts'
import { askedText, errorAnswer, jsonAnswer } from '../schemas.ts'
import { type ApiState, markFreshness } from '../state.ts'

const asked = z.object({
  by: z.enum(['day', 'batch']).default('day').openapi({ description: 'Business days, or uploads, the newest first' }),
  batch_id: z.uuid().optional().openapi({ description: 'One upload; `by` and the dates are of no matter then' }),
  from: z.iso.date().optional().openapi({
    description: 'First business day (default: 30 before `to`); of uploads, first day on which they came (UTC)',
  }),
  to: z.iso.date().optional().openapi({
    description: 'Last business day (default: the newest with a transaction); of uploads, last day (UTC)',
  }),
  store: askedText().optional().openapi({ description: 'Only that store; empty for what names none' }),
  skip: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(100).default(20).openapi({ description: 'Uploads at most' }),
})

const qualityRoute = createRoute({
  method: 'get',
  path: '/api/v1/management/data/quality',
  tags: ['management'],
  summary: 'Data quality by business day or by upload, in all and by store',
  description: 'Completeness, duplicates, late share, outliers; docs/data-quality.md says how each is counted.',
  request: { query: asked },
  responses: {
    200: jsonAnswer(qualityAnswer, 'Reports by day, or by upload'),
    400: errorAnswer('A parameter is wrong, or the report would be too large'),
    404: errorAnswer('Nothing is known of the upload'),
    503: errorAnswer('ClickHouse does not answer'),
  },
})

/** HTTP status by error code. */
export const qualityStatuses: Readonly<Record<string, number>> = { report_too_large: 400, upload_not_found: 404 }

export function qualityRoutes(app: OpenAPIHono, state: ApiState): void {
  app.openapi(qualityRoute, async (c) => {
    const answer = await answerOf(state, c.req.valid('query')).catch((cause: unknown) => {
      if (cause instanceof LoyaltyError) throw cause
      throw new LoyaltyError('clickhouse_unavailable', `the report cannot be read: ${messageOf(cause)}`, {
        retriable: true,
        cause,
      })
    })
    await markFreshness(c, state, 'clickhouse')
    return c.json(answer, 200)
  })
}

async function answerOf({ deps }: ApiState, query: z.output<typeof asked>): Promise<z.input<typeof qualityAnswer>> {
  const { clickhouse } = deps
  const { by, batch_id: batchId, from = null, to = null, store = null, skip, limit } = query
  if (from !== null && to !== null && from > to)
    throw new LoyaltyError('request_invalid', `the report begins on ${from} and ends before that, on ${to}`)
  const range: QualityRange = { fromDay: dayOrNull(from), toDay: dayOrNull(to), store }
  if (batchId !== undefined) {
    const report = await readQualityOfBatch(clickhouse, batchId, store)
    if (report === null) throw new LoyaltyError('upload_not_found', `nothing is known of an upload ${batchId}`)
    return { by: 'batch', total: 1, batches: [report] }
  }
  if (by === 'batch') return { by, ...(await readQualityByBatch(clickhouse, range, { skip, limit })) }
  const { fromDay, toDay, days } = await readQualityByDay(clickhouse, range)
  return { by, from: isoOrNull(fromDay), to: isoOrNull(toDay), days }
}

function dayOrNull(iso: string | null): number | null {
  return iso === null ? null : dayOfIso(iso)
}

function isoOrNull(day: number | null): string | null {
  return day === null ? null : isoOfDay(day)
}
