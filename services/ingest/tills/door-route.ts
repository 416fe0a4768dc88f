import { createRoute, z } from '@hono/zod-openapi'
import { doorAnswer, failure, itemResult, success } from '../route-parts.ts'
import { eventSchema } from './cloud-events.ts'

/** What is different from door to door. */
interface DoorParts<Path extends string, Item extends z.ZodType, Id extends z.ZodRawShape> {
  readonly path: Path
  readonly summary: string
  readonly noun: 'transaction' | 'client'
  readonly item: Item
  /** What is told of an item that was accepted. */
  readonly id: Id
  /** Of its CloudEvents. */
  readonly eventType: string
  /** What one who sends should know beside what holds for every door. */
  readonly note: string
}

/** The definition of a door for tills: items of one kind, each checked for itself. */
export function doorRoute<Path extends string, Item extends z.ZodType, Id extends z.ZodRawShape>(
  parts: DoorParts<Path, Item, Id>,
) {
  const { path, summary, noun, item, id, eventType, note } = parts
  const name = noun === 'client' ? 'Client' : 'Transaction'
  const event = eventSchema(eventType).extend({ data: item }).openapi(`${name}CloudEvent`)
  const answer = doorAnswer(`${noun}s`, itemResult(id).openapi(`${name}Result`)).openapi(`${name}sAnswer`)
  return createRoute({
    method: 'post',
    path,
    tags: ['tills'],
    summary,
    description:
      `One ${noun}, an array of up to 1,000, NDJSON, or CloudEvents 1.0; plain, gzip or zstd. ` +
      `202 once the log has what was accepted. ${note}`,
    // Described for readers only: the body is taken in as a stream and each item is checked for itself.
    request: {
      headers: z.object({
        'loyalty-system': z.string().optional().describe(`system that the ${noun}s are of; default pos`),
        'content-encoding': z.enum(['gzip', 'zstd']).optional(),
      }),
      body: {
        required: true,
        content: {
          'application/json': { schema: z.union([item, z.array(item).min(1).max(1_000)]) },
          'application/cloudevents+json': { schema: event },
          'application/cloudevents-batch+json': { schema: z.array(event).min(1).max(1_000) },
          'application/cloudevents+avro': {
            schema: z.string().describe('the Avro event format; data as JSON, or an event with the id of its schema'),
          },
          'application/x-ndjson': { schema: z.string().describe(`one ${noun} a line`) },
        },
      },
    },
    responses: {
      202: success(`at least one ${noun} is accepted`, answer),
      400: failure('nothing was accepted: details.results says why, or the body cannot be read'),
      408: failure('the body did not come in time'),
      409: failure('the programme is not configured yet'),
      413: failure(`the body is too large, or has too many ${noun}s`),
      415: failure('another content type or encoding'),
      429: failure('more is under way than can be held: wait for Retry-After seconds'),
      503: failure('the log or the registry does not answer; some may have been written, sending all again is safe'),
    },
  })
}
