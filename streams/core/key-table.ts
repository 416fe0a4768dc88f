/** Anything that has a key of bytes. */
export interface Keyed {
  readonly key: Uint8Array
}

const firstSlots = 1_024

/** Items by their keys, found by bytes: no text is built to look one up. Only grows. */
export class KeyTable<Item extends Keyed> {
  readonly items: Item[] = []
  /** Pairs of a hash and the number of its item and one, 0 where there is none; at least twice as many as items. */
  #slots = new Int32Array(firstSlots * 2)

  /** The item whose key lies in `bytes` from `from` to `to`. `hash`: 32 bits of the key by any good function, always the same, signed. */
  find(hash: number, bytes: Uint8Array, from: number, to: number): Item | undefined {
    const slots = this.#slots
    const mask = slots.length - 2
    for (let slot = spread(hash) & mask; slots[slot + 1] !== 0; slot = (slot + 2) & mask) {
      if (slots[slot] !== hash) continue
      const item = this.items[slots[slot + 1]! - 1]!
      if (isKey(item.key, bytes, from, to)) return item
    }
    return undefined
  }

  /** Adds an item whose key is not there. */
  add(hash: number, item: Item): void {
    this.items.push(item)
    if (this.items.length * 4 > this.#slots.length) this.#grow()
    place(this.#slots, hash, this.items.length)
  }

  #grow(): void {
    const grown = new Int32Array(this.#slots.length * 4)
    for (let slot = 0; slot < this.#slots.length; slot += 2)
      if (this.#slots[slot + 1] !== 0) place(grown, this.#slots[slot]!, this.#slots[slot + 1]!)
    this.#slots = grown
  }
}

function place(slots: Int32Array, hash: number, number: number): void {
  const mask = slots.length - 2
  let slot = spread(hash) & mask
  while (slots[slot + 1] !== 0) slot = (slot + 2) & mask
  slots[slot] = hash
  slots[slot + 1] = number
}

/** The lower bits of a hash may be the same for all keys: they chose the partition. */
function spread(hash: number): number {
  const mixed = Math.imul(hash, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

/** The key that lies in `bytes` from `from` to `to`, as bytes of its own. */
export function copyOfKey(bytes: Uint8Array, from: number, to: number): Buffer {
  // A loop is quicker than a view to copy from.
  const key = Buffer.allocUnsafe(to - from)
  for (let i = from; i < to; i++) key[i - from] = bytes[i]!
  return key
}

function isKey(key: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (key.length !== to - from) return false
  for (let i = 0; i < key.length; i++) if (key[i] !== bytes[from + i]) return false
  return true
}
