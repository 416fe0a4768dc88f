import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { messageOf } from '#streams/core/error.ts'
import { countByClickHouse, countByPostgres, shares } from '../read-models/segments.ts'
import { errorAnswer, jsonAnswer, segmentStatsSchema } from '../schemas.ts'
import { type ApiState, markDegraded, markFreshness } from '../state.ts'

const statsRoute = createRoute({
  method: 'get',
  path: '/api/v1/segments/stats',
  tags: ['segments'],
  summary: 'Clients per loyalty segment',
  responses: {
    200: jsonAnswer(z.array(segmentStatsSchema), 'Every segment, also an empty one'),
    503: errorAnswer('Neither store answers'),
  },
})

export function segmentRoutes(app: OpenAPIHono, state: ApiState): void {
  const { pool, clickhouse, logger } = state.deps
  app.openapi(statsRoute, async (c) => {
    let counts: ReadonlyMap<string, number>
    try {
      counts = await countByClickHouse(clickhouse)
      await markFreshness(c, state, 'clickhouse')
    } catch (error) {
      logger.warn({ error }, `segment counts: ${messageOf(error)}`)
      markDegraded(c, 'clickhouse')
      counts = await countByPostgres(pool)
      await markFreshness(c, state, 'postgres')
    }
    return c.json(
      shares(counts).map(({ segmentId, name, clients, percentage }) => ({
        segment_id: segmentId,
        segment_name: name,
        client_count: clients,
        percentage,
      })),
      200,
    )
  })
}
