import { z } from '@hono/zod-openapi'
import { dataOf, type EventKind } from './cloud-event-data.ts'
import { RefusedItem } from './rejection.ts'

/**
 * CloudEvents 1.0 with JSON data: structured, in batches, and binary (the attributes are headers, the body is the data).
 * The envelope carries a transaction and does not identify it: that is the business of the data, as without an envelope.
 * Id and source of the event are kept among the attributes of the transaction.
 */
export const transactionEventType = 'com.platform.loyalty.transaction.recorded.v1'

const named = z.string({ error: 'must be a text' }).min(1, 'is empty')

/** An event of one type; `data` is judged for itself. */
export function eventSchema<Type extends string>(type: Type) {
  return z.looseObject(
    {
      specversion: z.literal('1.0', { error: 'must be "1.0"' }),
      id: named,
      source: named,
      type: z.literal(type, { error: `must be ${type}` }),
      time: z.iso.datetime({ offset: true, error: 'must be ISO 8601 with seconds and zone' }).nullish(),
      datacontenttype: z
        .string({ error: 'must be a text' })
        .regex(/^application\/([\w.-]+\+)?json\s*(;.*)?$/i, 'must be application/json')
        .nullish(),
      data: z.unknown(),
    },
    { error: 'a CloudEvent must be an object' },
  )
}

const schemas = new Map<string, ReturnType<typeof eventSchema>>()

function schemaOf(type: string): ReturnType<typeof eventSchema> {
  const schema = schemas.get(type) ?? eventSchema(type)
  schemas.set(type, schema)
  return schema
}

/** The item in an event of structured mode, or why there is none. `type`: the one that is expected. */
export function itemOfEvent(event: unknown, type: string): unknown {
  const parsed = schemaOf(type).safeParse(event)
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!
    return refused(path.join('.'), message)
  }
  return withOrigin(parsed.data.data, parsed.data)
}

function refused(field: string, message: string): RefusedItem {
  return new RefusedItem({ code: 'bad_event', field: field || null, message: `${field} ${message}`.trim() })
}

/**
 * The same of an event as it was sent: its data may also be bytes (`data_base64`), JSON or, where `datacontenttype` is
 * `application/avro`, an event of the platform itself. Errors: those of `ofAvro`.
 */
export async function itemOfStructured(event: unknown, kind: EventKind): Promise<unknown> {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return itemOfEvent(event, kind.eventType)
  // As the specification has it, null says the same as nothing.
  const { data = null, data_base64: base64 = null, ...attributes } = event as Record<string, unknown>
  if (base64 === null)
    return data === null ? refused('data', 'is missing') : itemOfEvent({ ...attributes, data }, kind.eventType)
  if (data !== null) return refused('data_base64', 'stands beside data; send one of them')
  if (typeof base64 !== 'string' || !base64Text.test(base64)) return refused('data_base64', 'must be bytes in base64')
  const { datacontenttype, ...others } = attributes
  const read = await dataOf(Buffer.from(base64, 'base64'), String(datacontenttype ?? 'application/json'), kind)
  return read instanceof RefusedItem ? read : itemOfEvent({ ...others, data: read }, kind.eventType)
}

const base64Text = /^[A-Za-z0-9+/]*={0,2}$/

/** The item of binary mode, whose attributes are headers. */
export function itemOfHeaders(data: unknown, header: (name: string) => string | undefined, expected: string): unknown {
  if (data instanceof RefusedItem) return data
  const attribute = (name: string) => decoded(header(`ce-${name}`))
  const [specversion, id, source, type, time] = ['specversion', 'id', 'source', 'type', 'time'].map(attribute)
  return itemOfEvent({ specversion, id, source, type, ...(time === undefined ? {} : { time }), data }, expected)
}

/** Values of headers are percent-encoded. What is no such encoding is taken as it is. */
function decoded(value: string | undefined): string | undefined {
  try {
    return value === undefined ? undefined : decodeURIComponent(value)
  } catch {
    return value
  }
}

function withOrigin(data: unknown, { id, source }: { id: string; source: string }): unknown {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return data
  const { attributes } = data as { attributes?: unknown }
  // Attributes of a wrong type are left to be told as such.
  if (attributes !== undefined && (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes)))
    return data
  return { ...data, attributes: { ...attributes, ce_id: id, ce_source: source } }
}
