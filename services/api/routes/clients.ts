import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { bonusBalance } from '../read-models/bonus.ts'
import { findClient, listClients } from '../read-models/clients.ts'
import { readHistory } from '../read-models/history.ts'
import { askedText, clientDetailsSchema, clientDisplaySchema, errorAnswer, jsonAnswer } from '../schemas.ts'
import { type ApiState, markDegraded, markFreshness } from '../state.ts'
import { detailsOf, displayOf } from '../views.ts'

const historyLimit = 100

const listRoute = createRoute({
  method: 'get',
  path: '/api/v1/clients',
  tags: ['clients'],
  summary: 'Clients with their loyalty segments, in the order of their ids',
  request: {
    query: z.object({
      skip: z.coerce.number().int().min(0).max(10_000_000).default(0),
      limit: z.coerce.number().int().min(1).max(1000).default(100),
      segment_id: askedText().optional().openapi({ example: 'champions' }),
      search_query: askedText().max(200).optional().openapi({
        description: 'Beginning of the client id, the e-mail address, the phone number, or a part of the name',
      }),
    }),
  },
  responses: {
    200: jsonAnswer(z.array(clientDisplaySchema), 'The page asked for'),
    400: errorAnswer('A parameter is not valid'),
  },
})

const oneRoute = createRoute({
  method: 'get',
  path: '/api/v1/clients/{client_id}',
  tags: ['clients'],
  summary: 'One client: profile, segment, score, RFM values, transactions',
  request: { params: z.object({ client_id: askedText().min(1).max(256) }) },
  responses: {
    200: jsonAnswer(clientDetailsSchema, 'The client'),
    400: errorAnswer('The id is not valid'),
    404: errorAnswer('No such client'),
  },
})

export function clientRoutes(app: OpenAPIHono, state: ApiState): void {
  const { pool, clickhouse, logger } = state.deps

  app.openapi(listRoute, async (c) => {
    const { skip, limit, segment_id, search_query } = c.req.valid('query')
    const rows = await listClients(pool, { skip, limit, segmentId: segment_id, search: search_query })
    await markFreshness(c, state, 'postgres')
    return c.json(rows.map(displayOf), 200)
  })

  app.openapi(oneRoute, async (c) => {
    const { client_id } = c.req.valid('param')
    const asked = orNull('history', readHistory(clickhouse, client_id, historyLimit))
    const row = await findClient(pool, client_id)
    if (row === null)
      throw new LoyaltyError('client_not_found', `there is no client ${client_id}`, { details: { client_id } })
    const { context } = state.programme
    const bonusMinor = await orNull('bonus balance', bonusBalance(clickhouse, row, context.asOf.date))
    const history = await asked
    await markFreshness(c, state, 'postgres')
    if (history === null || bonusMinor === null) markDegraded(c, 'clickhouse')
    return c.json(detailsOf(row, { history, bonusMinor }, context), 200)
  })

  /** Null while ClickHouse does not answer: the profile is served without that. */
  async function orNull<Part>(what: string, part: Promise<Part>): Promise<Part | null> {
    try {
      return await part
    } catch (error) {
      logger.warn({ error }, `no ${what}: ${messageOf(error)}`)
      return null
    }
  }
}
