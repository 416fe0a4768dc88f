import { z } from '@hono/zod-openapi'
import { rejectionCodes } from './tills/rejection.ts'
import { reasons, type VerdictCode, verdictCodes } from './verdicts.ts'

/** What the route definitions of ingestion share. */

export const errorBody = z
  .object({
    error: z.string(),
    message: z.string(),
    code: z.string(),
    details: z.record(z.string(), z.unknown()),
    trace_id: z.string(),
  })
  .openapi('Error')

export function failure(description: string) {
  return { description, content: { 'application/json': { schema: errorBody } } }
}

export function success<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { 'application/json': { schema } } }
}

export const rejectedByReason = z
  .partialRecord(z.enum(Object.keys(reasons) as [keyof typeof reasons, ...(keyof typeof reasons)[]]), z.number().int())
  .describe('by reason: rows, or receipts')

export const rowVerdict = z.object({
  row: z.number().int().describe('from 1, without the header'),
  code: z.enum(verdictCodes as [VerdictCode, ...VerdictCode[]]),
  field: z.string().nullable().describe('as the profile calls it'),
  value: z.string().nullable().describe('at most 100 characters of it'),
  sentence: z.object({ en: z.string(), ru: z.string() }),
})

/** What a door answers of one item; `id`: what is told of one that was accepted. */
export function itemResult<Id extends z.ZodRawShape>(id: Id) {
  const index = z.number().int().describe('place in the array, or line that is not blank, from 0')
  return z.discriminatedUnion('status', [
    z.object({ index, status: z.literal('accepted'), ...id }),
    z.object({
      index: z.number().int(),
      status: z.literal('rejected'),
      code: z.enum(rejectionCodes),
      field: z.string().nullable(),
      message: z.string(),
    }),
  ])
}

/** What a door answers; `items`: what they are called. */
export function doorAnswer<Result extends z.ZodType>(items: string, result: Result) {
  return z.object({
    accepted: z.number().int().describe(`${items} that the log has durably`),
    rejected: z.number().int(),
    results: z.array(result).describe('of every item; of NDJSON the first 1,000 that were rejected'),
  })
}
