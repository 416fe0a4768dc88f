import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import avro from 'avsc'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
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
   * Type written under an id, or null when the registry itself says that there is no such schema (404 with code 40403).
   *
   * Errors: `registry_unavailable` (retriable), `registry_schema_unusable` (the schema is there, but is no Avro).
   */
  schemaById(id: number): Promise<avro.Type | null>
}

export interface RegistryOptions {
  readonly url: string
  /** Per request; default 5,000 ms. */
  readonly timeoutMs?: number
  /** Repetitions of a failed GET; default 2, within about half a second. */
  readonly retries?: number
}

const schemaNotFound = 40403

/** A registry over HTTP (Confluent's REST interface). Connects on first use. */
export function openRegistry(options: RegistryOptions): Registry {
  const timeoutMs = options.timeoutMs ?? 5_000
  const client = new SchemaRegistry({
    host: options.url,
    clientId: 'loyalty-stream',
    retry: { retries: options.retries ?? 2, initialRetryTimeInSecs: 0.1, maxRetryTimeInSecs: 0.5 },
    middlewares: [() => ({ request: (request) => request.enhance({ timeout: timeoutMs }) })],
  })
  return {
    async register(subject, schema) {
      try {
        return (await client.register({ type: SchemaType.AVRO, schema }, { subject })).id
      } catch (cause) {
        throw registrationError(cause, subject, options.url)
      }
    },
    async schemaById(id) {
      try {
        return asAvro(await client.getSchema(id), id)
      } catch (cause) {
        if (cause instanceof LoyaltyError) throw cause
        const status = statusOf(cause)
        if (status === 404 && (await confirmMissing(options.url, id, timeoutMs))) return null
        // The client turns a schema that it cannot parse into an error without a status.
        if (status === undefined) throw unusable(id, cause)
        throw unavailable(`schema ${id} cannot be fetched`, options.url, cause)
      }
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

/** The client drops the error code; only a registry's own 40403 proves that a schema does not exist. */
async function confirmMissing(url: string, id: number, timeoutMs: number): Promise<boolean> {
  try {
    const response = await fetch(`${url}/schemas/ids/${id}`, { signal: AbortSignal.timeout(timeoutMs) })
    const body = (await response.json()) as { error_code?: unknown }
    return response.status === 404 && body.error_code === schemaNotFound
  } catch {
    return false
  }
}

function asAvro(schema: unknown, id: number): avro.Type {
  if (avro.Type.isType(schema)) return schema as avro.Type
  throw unusable(id, undefined)
}

function unusable(id: number, cause: unknown): LoyaltyError {
  return new LoyaltyError('registry_schema_unusable', `schema ${id} is no usable Avro schema`, {
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
