import { type Hash64, Hasher } from '#streams/domain/hash.ts'

/** What a receipt is known by across its generations: 64 bits of its client and its id without generation. */

const hasher = new Hasher()

export function receiptKey(clientId: string, base: string, out: Hash64): void {
  hasher.reset().text(clientId).text(base).finish(out)
}

/** As `receiptKey`, of texts in their UTF-8 bytes. */
export function receiptKeyOf(
  bytes: Uint8Array,
  client: { readonly from: number; readonly to: number },
  base: { readonly from: number; readonly to: number },
  out: Hash64,
): void {
  hasher.reset().encodedText(bytes, client.from, client.to).encodedText(bytes, base.from, base.to).finish(out)
}

const startRoom = 1024

/** Numbers keys in the order in which they come. Open addressing over typed arrays: millions of keys take 14 bytes each. */
export class KeyTable {
  size = 0
  #hi = new Uint32Array(startRoom)
  #lo = new Uint32Array(startRoom)
  #slots = new Int32Array(startRoom * 2).fill(-1)

  hiOf(index: number): number {
    return this.#hi[index]!
  }

  loOf(index: number): number {
    return this.#lo[index]!
  }

  /** The key's number, -1 where it has none. */
  find({ hi, lo }: Hash64): number {
    return this.#slots[this.#slotOf(hi, lo)]!
  }

  /** The key's number, a new one where it had none. */
  add({ hi, lo }: Hash64): number {
    const slot = this.#slotOf(hi, lo)
    const known = this.#slots[slot]!
    if (known >= 0) return known
    if (this.size === this.#hi.length) {
      this.#grow()
      return this.add({ hi, lo })
    }
    const index = this.size++
    this.#hi[index] = hi
    this.#lo[index] = lo
    this.#slots[slot] = index
    return index
  }

  #slotOf(hi: number, lo: number): number {
    const mask = this.#slots.length - 1
    let slot = lo & mask
    for (;;) {
      const index = this.#slots[slot]!
      if (index < 0 || (this.#lo[index] === lo && this.#hi[index] === hi)) return slot
      slot = (slot + 1) & mask
    }
  }

  #grow(): void {
    const room = this.#hi.length * 2
    this.#hi = grown(this.#hi, room)
    this.#lo = grown(this.#lo, room)
    this.#slots = new Int32Array(room * 2).fill(-1)
    for (let index = 0; index < this.size; index++)
      this.#slots[this.#slotOf(this.#hi[index]!, this.#lo[index]!)] = index
  }
}

function grown(old: Uint32Array, room: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(room)
  larger.set(old)
  return larger
}
