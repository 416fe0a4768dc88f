/** A set of non-zero 32-bit hashes that is cleared in constant time and reused: stamps tell this filling from older ones. */
export class StoreSet {
  size = 0
  #keys = new Uint32Array(64)
  #stamps = new Uint32Array(64)
  #stamp = 1
  #last = 0

  clear(): void {
    this.size = 0
    this.#last = 0
    this.#stamp = (this.#stamp + 1) >>> 0
    if (this.#stamp !== 0) return
    this.#stamps.fill(0)
    this.#stamp = 1
  }

  add(store: number): void {
    // Most clients buy in one store.
    if (store === this.#last) return
    this.#last = store
    const keys = this.#keys
    const mask = keys.length - 1
    let slot = store & mask
    while (this.#stamps[slot] === this.#stamp) {
      if (keys[slot] === store) return
      slot = (slot + 1) & mask
    }
    keys[slot] = store
    this.#stamps[slot] = this.#stamp
    this.size++
    if (this.size * 2 > keys.length) this.#grow()
  }

  /** The members, ascending. */
  list(): Uint32Array {
    const members = new Uint32Array(this.size)
    let at = 0
    for (let slot = 0; slot < this.#keys.length; slot++)
      if (this.#stamps[slot] === this.#stamp) members[at++] = this.#keys[slot]!
    return members.sort()
  }

  #grow(): void {
    const members = this.list()
    this.#keys = new Uint32Array(this.#keys.length * 2)
    this.#stamps = new Uint32Array(this.#keys.length)
    this.#stamp = 1
    this.#last = 0
    this.size = 0
    for (const store of members) this.add(store)
  }
}
