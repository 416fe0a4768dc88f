/**
 * Decoded clients of one task, bounded by their estimated bytes. Two generations: what is put goes to the young one; when
 * that holds half of the bound it becomes the old one, and what was old and not put again is forgotten. So nothing is
 * ever searched for or moved, and what is put often stays. A cache of the store only: what leaves it is read again.
 */
export class ClientCache<Client extends { readonly estimatedBytes: number }> {
  readonly #generationBytes: number
  #young = new Map<string, Client>()
  #old = new Map<string, Client>()
  #youngBytes = 0

  constructor(maxBytes: number) {
    this.#generationBytes = maxBytes / 2
  }

  get size(): number {
    let size = this.#young.size
    for (const id of this.#old.keys()) if (!this.#young.has(id)) size += 1
    return size
  }

  get(id: string): Client | undefined {
    return this.#young.get(id) ?? this.#old.get(id)
  }

  put(id: string, client: Client): void {
    const before = this.#young.get(id)
    if (before !== undefined) this.#youngBytes -= before.estimatedBytes
    this.#young.set(id, client)
    this.#youngBytes += client.estimatedBytes
    if (this.#youngBytes <= this.#generationBytes) return
    this.#old = this.#young
    this.#young = new Map()
    this.#youngBytes = 0
  }

  clear(): void {
    this.#young = new Map()
    this.#old = new Map()
    this.#youngBytes = 0
  }
}
