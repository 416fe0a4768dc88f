import { z } from '@hono/zod-openapi'

/** Text of a request that a store is asked for. PostgreSQL has no text with U+0000 in it, and would fail. */
export function askedText() {
  return z.string().refine((text) => !text.includes('\0'), 'must not hold the character U+0000')
}

/** The error body of every program. */
export const errorSchema = z
  .object({
    error: z.string().openapi({ example: 'Not Found' }),
    message: z.string(),
    code: z.string().openapi({ description: 'Stable; see docs/errors.md', example: 'client_not_found' }),
    details: z.record(z.string(), z.unknown()),
    trace_id: z.string(),
  })
  .openapi('Error')

export const segmentRefSchema = z
  .object({ segment_id: z.string().openapi({ example: 'loyal' }), name: z.string().openapi({ example: 'Лояльные' }) })
  .openapi('LoyaltySegmentRef')

export const clientDisplaySchema = z
  .object({
    client_id: z.string(),
    full_name: z.string().nullable(),
    loyalty_segment: segmentRefSchema.nullable(),
    loyalty_score: z.int().min(0).max(100).nullable(),
    rfm_score: z.string().nullable().openapi({ example: '545' }),
    frequency: z.int(),
    monetary_net_minor: z.int().openapi({ description: "Minor units of the programme's currency" }),
    last_purchase: z.iso.date().nullable().openapi({ description: "Day in the programme's time zone" }),
  })
  .openapi('ClientDisplay')

export const rfmValuesSchema = z
  .object({
    recency: z.int().nullable().openapi({ description: 'Calendar days since the last purchase, as of `as_of`' }),
    frequency: z.int(),
    monetary: z.number().openapi({ description: 'Sum in major units, on `basis`' }),
    monetary_gross_minor: z.int(),
    monetary_net_minor: z.int(),
    basis: z.enum(['net', 'gross']).openapi({
      description: 'What M is scored on: that of the cut-points in force; before the first, the programme’s',
    }),
    r: z.int().nullable(),
    f: z.int().nullable(),
    m: z.int().nullable(),
  })
  .openapi('RfmValues')

export const historyEntrySchema = z
  .object({
    transaction_id: z.string(),
    kind: z.enum(['sale', 'refund', 'void']),
    occurred_at: z.iso.datetime(),
    amount_minor: z.int(),
    receipt_number: z.string().nullable(),
    store_id: z.string().nullable(),
    original_transaction_id: z.string().nullable(),
    items_count: z.int(),
    source: z.string(),
  })
  .openapi('HistoryEntry')

export const clientDetailsSchema = z
  .object({
    client_id: z.string(),
    full_name: z.string().nullable(),
    email: z.string().nullable(),
    phone_number: z.string().nullable(),
    gender: z.string().nullable(),
    city: z.string().nullable(),
    birth_date: z.iso.date().nullable(),
    registered_at: z.iso.datetime().nullable(),
    communication_preferences: z
      .record(z.string(), z.boolean())
      .nullable()
      .openapi({ description: 'Consent per channel; null where there is no profile', example: { email: true } }),
    attributes: z
      .record(z.string(), z.string())
      .nullable()
      .openapi({ description: 'Whatever else the source of the profile knows; null where there is no profile' }),
    loyalty_segment: segmentRefSchema.extend({ description: z.string() }).nullable(),
    loyalty_score: z.int().min(0).max(100).nullable(),
    rfm_score: z.string().nullable(),
    rfm_values: rfmValuesSchema,
    currency: z.string().nullable(),
    bonus_balance_minor: z.int().nullable().openapi({
      description: 'Opening balance, and earned less spent after it; null while the store that knows does not answer',
    }),
    first_purchase: z.iso.date().nullable(),
    last_purchase: z.iso.date().nullable(),
    model: z.object({ model_name: z.string(), version: z.string() }).nullable(),
    as_of: z.iso.date().nullable().openapi({ description: "The programme's date" }),
    transaction_history: z.array(historyEntrySchema).openapi({ description: 'Newest first, at most 100' }),
    degraded: z
      .array(z.enum(['transaction_history', 'bonus_balance_minor']))
      .openapi({ description: 'Parts that are missing because a store does not answer' }),
  })
  .openapi('ClientDetails')

export const segmentStatsSchema = z
  .object({
    segment_id: z.string(),
    segment_name: z.string(),
    client_count: z.int(),
    percentage: z.number().openapi({ description: 'Of all clients with a segment' }),
  })
  .openapi('SegmentStats')

const lagSchema = z.object({
  name: z.string(),
  lag_records: z.int(),
  lag_seconds: z.number().nullable().openapi({
    description: 'Age of the oldest record that waits, 0 when none does; null while the log does not say',
  }),
})

export const serviceStatusSchema = z
  .object({
    service_status: z.enum(['OPERATIONAL', 'DEGRADED']),
    api_version: z.string(),
    active_model_info: z.object({ model_name: z.string(), version: z.string() }).nullable(),
    as_of: z.iso.date().nullable(),
    programme: z
      .object({
        currency: z.string(),
        time_zone: z.string(),
        clock: z.enum(['system', 'events']),
        monetary_basis: z.enum(['net', 'gross']),
        partitions: z.int(),
      })
      .nullable(),
    parts: z.array(z.object({ name: z.string(), status: z.enum(['up', 'down']), message: z.string().optional() })),
    lags: z.array(lagSchema).nullable().openapi({ description: 'null while they cannot be measured' }),
  })
  .openapi('ServiceStatus')

/** Headers of answers that come from a projection. */
export const freshnessHeaders = {
  'loyalty-as-of': { description: "The programme's date", schema: { type: 'string' as const } },
  'loyalty-lag-records': {
    description: 'Records the slowest projection is behind',
    schema: { type: 'integer' as const },
  },
  'loyalty-lag-seconds': { description: 'Seconds it is behind, at most', schema: { type: 'number' as const } },
  'loyalty-degraded': {
    description: 'Stores that do not answer, divided by commas',
    schema: { type: 'string' as const },
  },
}

/** An answer of JSON in a route definition. */
export function jsonAnswer<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } }, headers: freshnessHeaders }
}

export function errorAnswer(description: string) {
  return { description, content: { 'application/json': { schema: errorSchema } } }
}
