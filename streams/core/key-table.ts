import { sameBytes } from './bytes.ts'

const firstSlots = 1_024
const firstKeyBytes = 16_384
/** Numbers in a slot: the hash, the number of the item and one (0 where there is none), where its key begins, its length. */
const slotLength = 4

/**
 * Items by their keys, found by bytes: no text is built to look one up. Only grows.
 *
 * A table of a million items is beyond every cache, where each place looked at costs what a hundred comparisons cost. So
 * keys lie in one piece of memory, one behind the other, and a slot says where, so that neither a Buffer of its own nor
 * the item has to be visited to tell that this is the key.
 */
export class KeyTable<Item> {
  readonly items: Item[] = []
  /** At least twice as many slots as items. */
  #slots = new Int32Array(firstSlots * slotLength)
  #keys = new Uint8Array(firstKeyBytes)
  #keysEnd = 0

  /** The item whose key lies in `bytes` from `from` to `to`. `hash`: 32 bits of the key by any good function, always the same, signed. */
  find(hash: number, bytes: Uint8Array, from: number, to: number): Item | undefined {
    const slots = this.#slots
    const mask = slots.length - slotLength
    for (let slot = spread(hash) & mask; slots[slot + 1] !== 0; slot = (slot + slotLength) & mask) {
      if (slots[slot] !== hash || slots[slot + 3] !== to - from) continue
      if (sameBytes(bytes, from, to, this.#keys, slots[slot + 2]!)) return this.items[slots[slot + 1]! - 1]!
    }
    return undefined
  }

  /** Adds an item under a key, of which the bytes are copied, that is not there. */
  add(hash: number, bytes: Uint8Array, from: number, to: number, item: Item): void {
    this.items.push(item)
    if (this.items.length * 2 * slotLength > this.#slots.length) this.#grow()
    place(this.#slots, hash, this.items.length, this.#copy(bytes, from, to), to - from)
  }

  #copy(bytes: Uint8Array, from: number, to: number): number {
    const start = this.#keysEnd
    this.#keysEnd += to - from
    if (this.#keysEnd > this.#keys.length) {
      const grown = new Uint8Array(this.#keysEnd * 2)
      grown.set(this.#keys)
      this.#keys = grown
    }
    const keys = this.#keys
    for (let i = from; i < to; i++) keys[start + i - from] = bytes[i]!
    return start
  }

  #grow(): void {
    const old = this.#slots
    const grown = new Int32Array(old.length * 2)
    for (let slot = 0; slot < old.length; slot += slotLength)
      if (old[slot + 1] !== 0) place(grown, old[slot]!, old[slot + 1]!, old[slot + 2]!, old[slot + 3]!)
    this.#slots = grown
  }
}

function place(slots: Int32Array, hash: number, number: number, keyAt: number, keyLength: number): void {
  const mask = slots.length - slotLength
  let slot = spread(hash) & mask
  while (slots[slot + 1] !== 0) slot = (slot + slotLength) & mask
  slots[slot] = hash
  slots[slot + 1] = number
  slots[slot + 2] = keyAt
  slots[slot + 3] = keyLength
}

/** The lower bits of a hash may be the same for all keys: they chose the partition. The lowest two are those of a slot. */
function spread(hash: number): number {
  const mixed = Math.imul(hash, 0x9e3779b1)
  return (mixed ^ (mixed >>> 15)) & ~(slotLength - 1)
}

/** The key that lies in `bytes` from `from` to `to`, as bytes of its own. */
export function copyOfKey(bytes: Uint8Array, from: number, to: number): Buffer {
  // A loop is quicker than a view to copy from.
  const key = Buffer.allocUnsafe(to - from)
  for (let i = from; i < to; i++) key[i - from] = bytes[i]!
  return key
}
