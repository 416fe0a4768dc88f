import { setTimeout as delay } from 'node:timers/promises'
import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import type avro from 'avsc'
import { hasCode, LoyaltyError, messageOf } from '#streams/core/error.ts'
import { parseSchema } from './codec.ts'
import type { EventName } from './events.ts'
import { eventNames, schemaText, subjectOf } from './published.ts'
import type { Topics } from './topics.ts'

/** What the codec needs of a schema registry. */
export interface Registry {
  /**
   * Registers a schema, or finds it; returns its id.
   *
   * Errors: `registry_incompatible` (the subject's compatibility rule refuses it), `registry_invalid_schema`,
   * `registry_unavailable` (retriable).
   */
  register(subject: string, schema: string): Promise<number>
  /**
   * Type written under an id, or null when the registry itself says twice that there is no such schema (404 with code
   * 40403). Whatever else answers – a proxy's page, too many requests, a wrong address – is no word of a registry.
   *
   * Errors: `registry_unavailable` (retriable), `registry_schema_unusable` (the schema is there, but is no Avro, or not whole).
   */
  schemaById(id: number): Promise<avro.Type | null>
}

/** A schema as it was registered. */
export interface RegisteredSchema {
  readonly id: number
  readonly schema: string
  readonly subjects: readonly { readonly subject: string; readonly version: number }[]
}

/** What whoever keeps schemas elsewhere needs of a registry. */
export interface SchemaTexts {
  /** Null as `Registry.schemaById` says it, with its errors. */
  describe(id: number): Promise<RegisteredSchema | null>
}

export interface RegistryOptions {
  readonly url: string
  /** Per request; default 5,000 ms. */
  readonly timeoutMs?: number
  /** Repetitions of a failed GET; default 2, within about half a second. */
  readonly retries?: number
  /** After what time an answer that there is no such schema is asked for again, which confirms it; default 200 ms. */
  readonly confirmMs?: number
}

const schemaNotFound = 40403
const headers = { accept: 'application/vnd.schemaregistry.v1+json, application/json' }
const retryMs = 150
/** How long a confirmed answer speaks for the registry being up to date. */
const missedForMs = 1_000

/** A registry over HTTP (Confluent's REST interface). Connects on first use. */
export function openRegistry(options: RegistryOptions): Registry & SchemaTexts {
  const timeoutMs = options.timeoutMs ?? 5_000
  const retries = options.retries ?? 2
  const client = new SchemaRegistry({
    host: options.url,
    clientId: 'loyalty-stream',
    retry: { retries, initialRetryTimeInSecs: 0.1, maxRetryTimeInSecs: 0.5 },
    middlewares: [() => ({ request: (request) => request.enhance({ timeout: timeoutMs }) })],
  })
  const url = options.url.replace(/\/+$/, '')
  /** What an id means never changes. What was registered here is known, too: a registry may go away after that. */
  const known = new Map<number, avro.Type>()
  const asked = async (id: number): Promise<string | null> => {
    for (let left = retries; ; left--) {
      try {
        return await fetchSchema(url, id, timeoutMs)
      } catch (error) {
        if (left === 0 || !hasCode(error, 'registry_unavailable')) throw error
        await delay(retryMs)
      }
    }
  }
  // A registry of several machines may have given out an id a moment before the one that we ask has heard of it. Values
  // that are no events at all may name thousands of ids: that moment is not waited for again and again.
  let missedAt = Number.NEGATIVE_INFINITY
  const confirmed = async (id: number) => {
    if (performance.now() - missedAt > missedForMs) await delay(options.confirmMs ?? 200)
    const text = await asked(id)
    if (text === null) missedAt = performance.now()
    return text
  }
  const textOf = async (id: number) => (await asked(id)) ?? (await confirmed(id))
  return {
    async register(subject, schema) {
      try {
        const { id } = await client.register({ type: SchemaType.AVRO, schema }, { subject })
        known.set(id, parseSchema(schema))
        return id
      } catch (cause) {
        throw registrationError(cause, subject, options.url)
      }
    },
    async schemaById(id) {
      const before = known.get(id)
      if (before !== undefined) return before
      const text = await textOf(id)
      if (text === null) return null
      const type = typeOf(id, text)
      known.set(id, type)
      return type
    },
    async describe(id) {
      const schema = await textOf(id)
      return schema === null ? null : { id, schema, subjects: await fetchSubjects(url, id, timeoutMs) }
    },
  }
}

/**
 * Registers every event (or those named) and returns the writer ids to encode with.
 *
 * Errors: those of `Registry.register`.
 */
export async function registerAll<N extends EventName = EventName>(
  registry: Registry,
  topics: Topics,
  names?: readonly N[],
): Promise<Readonly<Record<N, number>>> {
  const wanted = names ?? (eventNames as readonly N[])
  const ids = {} as Record<N, number>
  for (const name of wanted) ids[name] = await registry.register(subjectOf(name, topics), schemaText(name))
  return ids
}

/**
 * Asks for one schema, over plain HTTP: the client takes a proxy's page for a schema that it cannot parse, and drops the
 * code that alone proves that there is no schema. Null for that.
 */
async function fetchSchema(url: string, id: number, timeoutMs: number): Promise<string | null> {
  const { status, body } = await ask(url, `/schemas/ids/${id}`, id, timeoutMs)
  const answer = isObject(body) ? body : {}
  if (status === 404 && answer.error_code === schemaNotFound) return null
  if (status !== 200 || typeof answer.schema !== 'string')
    throw unavailable(fetching(id), url, new Error(`it answered ${status}, and no schema`))
  if (Array.isArray(answer.references) && answer.references.length > 0)
    throw unusable(id, new Error('it refers to other schemas: put all types into one'))
  return answer.schema
}

async function fetchSubjects(url: string, id: number, timeoutMs: number): Promise<RegisteredSchema['subjects']> {
  const { status, body } = await ask(url, `/schemas/ids/${id}/versions`, id, timeoutMs)
  if (status === 404) return []
  if (status !== 200 || !Array.isArray(body))
    throw unavailable(fetching(id), url, new Error(`it answered ${status}, and no subjects`))
  return body.filter(isObject).map(({ subject, version }) => ({ subject: String(subject), version: Number(version) }))
}

async function ask(url: string, path: string, id: number, timeoutMs: number) {
  try {
    const response = await fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(timeoutMs) })
    return { status: response.status, body: JSON.parse(await response.text()) as unknown }
  } catch (cause) {
    throw unavailable(fetching(id), url, cause)
  }
}

function typeOf(id: number, schema: string): avro.Type {
  try {
    return parseSchema(schema)
  } catch (cause) {
    throw unusable(id, cause)
  }
}

function fetching(id: number): string {
  return `schema ${id} cannot be fetched`
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function unusable(id: number, cause: unknown): LoyaltyError {
  return new LoyaltyError('registry_schema_unusable', `schema ${id} is no usable Avro schema: ${messageOf(cause)}`, {
    details: { schemaId: id },
    cause,
  })
}

function unavailable(what: string, url: string, cause: unknown): LoyaltyError {
  return new LoyaltyError(
    'registry_unavailable',
    `${what}: the schema registry at ${url} does not answer as it should`,
    {
      retriable: true,
      details: { url, reason: messageOf(cause) },
      cause,
    },
  )
}

function registrationError(cause: unknown, subject: string, url: string): LoyaltyError {
  const status = statusOf(cause)
  const details = { subject, reason: messageOf(cause) }
  if (status === 409)
    return new LoyaltyError(
      'registry_incompatible',
      `${subject}: a reader of older events could not read this schema`,
      {
        details,
        cause,
      },
    )
  if (status === 422)
    return new LoyaltyError('registry_invalid_schema', `${subject}: the registry refuses the schema`, {
      details,
      cause,
    })
  if (status === undefined)
    return new LoyaltyError('registry_refused', `${subject}: the schema cannot be registered: ${messageOf(cause)}`, {
      details,
      cause,
    })
  return unavailable(`${subject} cannot be registered`, url, cause)
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('status' in error)) return undefined
  return typeof error.status === 'number' ? error.status : undefined
}
