import { LoyaltyError } from '../core/error.ts'
import type { ChunkSource, LedgerSettings } from '../domain/ledger.ts'
import { entryChunkBytes } from '../domain/packed-entries.ts'
import type { StateChange, StateStore } from '../state/state-store.ts'
import { Client, decodeClient, encodeClient } from './client.ts'
import { ClientCache } from './client-cache.ts'

/** Kinds of entries in a task's store: the first byte of a key. */
const headPrefix = 1
const entryChunkPrefix = 2
const coldChunkPrefix = 3
/**
 * Entries from which on a client is kept in memory. Smaller ones are as quickly read from the store, and most of them are
 * not seen again for long: kept, they would only be work for the garbage collector.
 */
const worthKeeping = 8
const headKeyPrefix = Uint8Array.of(headPrefix)

/** The clients of one task: the store behind a bounded cache. */
export class ClientStore {
  readonly #store: StateStore
  readonly #cache: ClientCache<Client>
  readonly #chunks: ChunkSource
  #settings: LedgerSettings

  constructor(store: StateStore, cacheBytes: number) {
    this.#store = store
    this.#cache = new ClientCache(cacheBytes)
    this.#chunks = {
      entryChunk: (clientId, index) => this.#chunk(entryChunkPrefix, clientId, index),
      coldChunk: (clientId, index) => this.#chunk(coldChunkPrefix, clientId, index),
    }
    this.#settings = { cap: Number.POSITIVE_INFINITY, chunks: this.#chunks }
  }

  /** The programme's ledger cap; fixed before the first transaction is read. */
  setCap(cap: number): void {
    if (cap !== this.#settings.cap) this.#settings = { cap, chunks: this.#chunks }
  }

  /**
   * The client with the id that is `key` in UTF-8, as committed, or a new one: the caller's to change. `key` becomes its.
   *
   * Errors: `state_unreadable`, as of `scan`.
   */
  take(key: Buffer): Client {
    const id = key.toString()
    const cached = this.#cache.get(id)
    if (cached !== undefined) return cached.fork()
    const bytes = this.#store.get(headKey(key))
    return bytes === undefined ? Client.unknown(id, key, this.#settings) : this.#decoded(id, key, bytes)
  }

  /** Clients behind a key, in key order, at most `limit`, as of `take`; with the key of the last, null at the end. */
  scan(after: Uint8Array | null, limit: number): { clients: Client[]; cursor: Uint8Array | null } {
    const entries = this.#store.scan(headKeyPrefix, after === null ? null : headKey(after), limit)
    const clients = entries.map(({ key, value }) => {
      // A copy: the store may use the memory again.
      const own = Buffer.from(key.subarray(1))
      const id = own.toString()
      return this.#cache.get(id)?.fork() ?? this.#decoded(id, own, value)
    })
    const last = entries.at(-1)
    return {
      clients,
      cursor: last === undefined || entries.length < limit ? null : Uint8Array.from(last.key.subarray(1)),
    }
  }

  /** What to write for a changed client. */
  *changesOf(client: Client): Iterable<StateChange> {
    yield { key: headKey(client.key), value: encodeClient(client) }
    for (const { index, bytes } of client.ledger.changedChunks())
      yield { key: chunkKey(entryChunkPrefix, client.key, index), value: bytes }
    for (const { index, bytes } of client.ledger.changedColdChunks())
      yield { key: chunkKey(coldChunkPrefix, client.key, index), value: bytes }
  }

  /** The client's changes are stored: it takes the place of the one before. */
  keep(client: Client): void {
    client.ledger.settle()
    if (client.ledger.count >= worthKeeping || this.#cache.get(client.id) !== undefined)
      this.#cache.put(client.id, client)
  }

  drop(): void {
    this.#cache.clear()
  }

  #decoded(id: string, key: Buffer, bytes: Uint8Array): Client {
    try {
      return decodeClient(id, key, bytes, this.#settings)
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause
      throw unreadable(`client ${id} cannot be read: ${cause.message}`, cause)
    }
  }

  #chunk(prefix: number, clientId: string, index: number): Uint8Array {
    const bytes = this.#store.get(chunkKey(prefix, Buffer.from(clientId), index))
    if (bytes === undefined) throw unreadable(`chunk ${index} of the ledger of client ${clientId} is missing`)
    if (prefix === entryChunkPrefix && bytes.length !== entryChunkBytes)
      throw unreadable(`chunk ${index} of the ledger of client ${clientId} is damaged`)
    return bytes
  }
}

function unreadable(what: string, cause?: unknown): LoyaltyError {
  return new LoyaltyError('state_unreadable', `${what}; the state of the partition is rebuilt from the log`, { cause })
}

function headKey(id: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(id.length + 1)
  key[0] = headPrefix
  key.set(id, 1)
  return key
}

function chunkKey(prefix: number, id: Uint8Array, index: number): Buffer {
  const key = Buffer.allocUnsafe(id.length + 5)
  key[0] = prefix
  key.set(id, 1)
  key.writeUInt32BE(index, id.length + 1)
  return key
}
