import type { z } from 'zod'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'

/**
 * Where a lake keeps its files: names are paths with slashes, contents are whole. A name that was put is durable and
 * whole; one that was not is absent, also after a crash in the middle.
 */
export interface LakeStore {
  /** For a person: the directory, or the address of the bucket. */
  readonly where: string
  /** Writes a file at once, in the place of one of that name. Errors: `lake_unavailable` (retriable). */
  put(path: string, content: Uint8Array): Promise<void>
  /**
   * Writes a file at once, unless there is one of that name: true where it was written. Errors: `lake_unavailable`
   * (retriable; it may have been written).
   */
  create(path: string, content: Uint8Array): Promise<boolean>
  /** Null where there is none. Errors: `lake_unavailable` (retriable). */
  get(path: string): Promise<Uint8Array | null>
  /** Names below a prefix that ends in a slash, in the order of their bytes. Errors: `lake_unavailable` (retriable). */
  list(prefix: string): AsyncIterable<string>
}

/** What a store throws where the directory or bucket cannot be read or written. */
export function lakeUnavailable(where: string, cause: unknown): LoyaltyError {
  return new LoyaltyError('lake_unavailable', `the lake ${where}: ${messageOf(cause)}`, { retriable: true, cause })
}

/** What `create` answers: false where `work` failed because there is a file of that name. Errors: those of `work`. */
export async function isNew(work: () => Promise<unknown>, isThere: (error: unknown) => boolean): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (isThere(error)) return false
    throw error
  }
}

/** What reading throws where the lake is not what was written. */
export function broken(store: LakeStore, what: string): LoyaltyError {
  return new LoyaltyError('lake_broken', `the lake ${store.where} is damaged: ${what}`, {
    details: { lake: store.where },
  })
}

/**
 * The JSON of a file, or null where there is none. Errors: `lake_broken` (it is no JSON, or not of this shape), those of
 * `LakeStore.get`.
 */
export async function getJson<Value>(store: LakeStore, path: string, shape: z.ZodType<Value>): Promise<Value | null> {
  const content = await store.get(path)
  if (content === null) return null
  const parsed = shape.safeParse(jsonOf(store, path, content))
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map(({ path: field, message }) => `${field.join('.') || 'it'}: ${message}`)
  throw broken(store, `${path} is not as it was written (${faults.join('; ')})`)
}

function jsonOf(store: LakeStore, path: string, content: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(content).toString())
  } catch (error) {
    throw broken(store, `${path} is no JSON (${messageOf(error)})`)
  }
}

export async function putJson(store: LakeStore, path: string, value: unknown): Promise<void> {
  await store.put(path, bytesOf(value))
}

/** As `LakeStore.create`. */
export function createJson(store: LakeStore, path: string, value: unknown): Promise<boolean> {
  return store.create(path, bytesOf(value))
}

function bytesOf(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value, null, 1)}\n`)
}
