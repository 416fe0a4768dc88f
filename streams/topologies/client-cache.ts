/**
 * Decoded clients of one task, the least recently used leave first once their estimated bytes exceed the bound. A cache of
 * the store only: what leaves it is read again.
 */
export class ClientCache<Client extends { readonly estimatedBytes: number }> {
  readonly #maxBytes: number
  readonly #clients = new Map<string, Client>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get size(): number {
    return this.#clients.size
  }

  get(id: string): Client | undefined {
    return this.#clients.get(id)
  }

  /** Puts a client in as the most recently used one. */
  put(id: string, client: Client): void {
    const before = this.#clients.get(id)
    if (before !== undefined) {
      this.#bytes -= before.estimatedBytes
      this.#clients.delete(id)
    }
    this.#clients.set(id, client)
    this.#bytes += client.estimatedBytes
    if (this.#bytes > this.#maxBytes) this.#evict()
  }

  clear(): void {
    this.#clients.clear()
    this.#bytes = 0
  }

  #evict(): void {
    for (const [id, client] of this.#clients) {
      if (this.#bytes <= this.#maxBytes) return
      this.#clients.delete(id)
      this.#bytes -= client.estimatedBytes
    }
  }
}
