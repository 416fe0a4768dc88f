import { z } from '@hono/zod-openapi'

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
