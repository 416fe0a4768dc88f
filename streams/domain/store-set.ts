/** A set of non-zero 32-bit hashes that is cleared and filled again and again without allocation. */
export class StoreSet {
  size = 0
  #keys = new Uint32Array(64)
  /** Slots in use, so that clearing costs what was put in. */
  #slots = new Uint32Array(32)
  #last = 0

  clear(): void {
    for (let i = 0; i < this.size; i++) this.#keys[this.#slots[i]!] = 0
    this.size = 0
    this.#last = 0
  }

  add(store: number): void {
    // Most clients buy in one store.
    if (store === this.#last) return
    this.#last = store
    const keys = this.#keys
    const mask = keys.length - 1
    let slot = store & mask
    while (keys[slot] !== 0) {
      if (keys[slot] === store) return
      slot = (slot + 1) & mask
    }
    keys[slot] = store
    this.#slots[this.size++] = slot
    if (this.size === this.#slots.length) this.#grow()
  }

  addAll(stores: Uint32Array): void {
    for (let i = 0; i < stores.length; i++) this.add(stores[i]!)
  }

  /** The members, ascending. */
  list(): Uint32Array {
    const members = new Uint32Array(this.size)
    for (let i = 0; i < this.size; i++) members[i] = this.#keys[this.#slots[i]!]!
    return members.sort()
  }

  #grow(): void {
    const members = this.list()
    this.#keys = new Uint32Array(this.#keys.length * 2)
    this.#slots = new Uint32Array(this.#slots.length * 2)
    this.size = 0
    this.#last = 0
    this.addAll(members)
  }
}
