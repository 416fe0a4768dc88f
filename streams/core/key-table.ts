/** Anything that has a key of bytes. */
export interface Keyed {
  readonly key: Uint8Array
}

const firstSlots = 1_024

/** Items by their keys, found by bytes: no text is built to look one up. Only grows. */
export class KeyTable<Item extends Keyed> {
  readonly items: Item[] = []
  readonly #hashes: number[] = []
  /** Number of an item and one, or 0; at least twice as many as items. */
  #slots = new Int32Array(firstSlots)

  /** The item whose key lies in `bytes` from `from` to `to`. `hash`: 32 bits of the key by any good function, always the same. */
  find(hash: number, bytes: Uint8Array, from: number, to: number): Item | undefined {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let slot = spread(hash) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const number = slots[slot]! - 1
      if (this.#hashes[number] !== hash) continue
      const item = this.items[number]!
      if (isKey(item.key, bytes, from, to)) return item
    }
    return undefined
  }

  /** Adds an item whose key is not there. */
  add(hash: number, item: Item): void {
    this.items.push(item)
    this.#hashes.push(hash)
    if (this.items.length * 2 <= this.#slots.length) this.#place(this.items.length - 1)
    else {
      this.#slots = new Int32Array(this.#slots.length * 4)
      for (let number = 0; number < this.items.length; number++) this.#place(number)
    }
  }

  #place(number: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = spread(this.#hashes[number]!) & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = number + 1
  }
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
