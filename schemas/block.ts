import type avro from 'avsc'
import type { AvroWriter } from './avro-writer.ts'
import { eventType, frameLength, parseSchema, reducedType, writeFrame } from './codec.ts'
import { eventWriter } from './event-writer.ts'
import type { Adjustment, BatchCounts, RepeatCount } from './events.ts'
import { idOfFact, type NewFact, writeFact } from './fact.ts'

const event = 'TransactionsAccepted'

/** What the parts of a block have in common. */
export interface BlockHead {
  readonly task: number
  readonly step: number
  readonly from_offset: number
  readonly to_offset: number
}

/** Bytes of facts, of adjustments, and of counts of repeats, after which a part ends. Below every log's limit for a record, with room for one more. */
const partBytes = 256 * 1024

/**
 * Builds the values of one block of TransactionsAccepted. Each fact is encoded as it comes, so that a step keeps bytes
 * instead of thousands of objects. Good for block after block, not for two at a time.
 */
export class BlockEncoder {
  readonly #schemaId: number
  readonly #facts = new Items<NewFact>(writeFact)
  readonly #adjustments = new Items<Adjustment>(writers().adjustment)
  readonly #repeats = new Items<RepeatCount>(writers().repeat)

  constructor(schemaId: number) {
    this.#schemaId = schemaId
  }

  /** Answers the place of the fact, for `transactionId`. Errors: `event_invalid`, as those of `adjustment` and `render`. */
  fact(fact: NewFact): number {
    return this.#facts.add(fact)
  }

  /** Id of the transaction whose fact is at `place` of this block. */
  transactionId(place: number): string {
    return idOfFact(this.#facts.bytes, place)
  }

  adjustment(adjustment: Adjustment): void {
    this.#adjustments.add(adjustment)
  }

  repeat(repeat: RepeatCount): void {
    this.#repeats.add(repeat)
  }

  /** Forgets what was added since the last `render`. */
  clear(): void {
    this.#facts.clear()
    this.#adjustments.clear()
    this.#repeats.clear()
  }

  /** One framed value per part, at least one, the caller's to keep; the counts are in the first. Begins the next block. */
  render(head: BlockHead, batches: readonly BatchCounts[]): Buffer[] {
    const parts = Math.max(1, this.#facts.parts, this.#adjustments.parts, this.#repeats.parts)
    const values: Buffer[] = []
    for (let part = 0; part < parts; part++)
      values.push(this.#part({ ...head, part: part + 1, parts, batches: part === 0 ? batches : [] }, part))
    this.clear()
    return values
  }

  #part(head: object, part: number): Buffer {
    const facts = this.#facts.part(part)
    const adjustments = this.#adjustments.part(part)
    const repeats = this.#repeats.part(part)
    let start = Buffer.allocUnsafe(1024)
    let end = writers().head(head, start, frameLength)
    if (end < 0) {
      start = Buffer.allocUnsafe(start.length - end)
      end = writers().head(head, start, frameLength)
    }
    writeFrame(start, 0, this.#schemaId)
    return Buffer.concat([start.subarray(0, end), ...facts, ...adjustments, ...repeats])
  }
}

const endOfArray = Buffer.from([0])

/** Encoded items of an array, cut into parts. */
class Items<Item> {
  readonly #write: (item: Item, bytes: Buffer, position: number) => number
  #bytes = Buffer.allocUnsafeSlow(64 * 1024)
  #end = 0
  /** Where each part ends, and how many items it holds; the last one is still open. */
  #ends: number[] = []
  #counts: number[] = []

  /** `write`: as an AvroWriter. */
  constructor(write: (item: Item, bytes: Buffer, position: number) => number) {
    this.#write = write
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  get parts(): number {
    return this.#counts.length
  }

  /** Answers where in `bytes` the item begins. */
  add(item: Item): number {
    const start = this.#end
    let end = this.#write(item, this.#bytes, this.#end)
    if (end < 0) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#bytes.length - end))
      this.#bytes.copy(larger, 0, 0, this.#end)
      this.#bytes = larger
      end = this.#write(item, larger, this.#end)
    }
    const open = this.#counts.length - 1
    if (open < 0 || this.#end - (this.#ends[open - 1] ?? 0) >= partBytes) {
      this.#ends.push(end)
      this.#counts.push(1)
    } else {
      this.#ends[open] = end
      this.#counts[open]! += 1
    }
    this.#end = end
    return start
  }

  /** An Avro array: one block of the part's items, where it has any, and the end. */
  part(index: number): Buffer[] {
    const count = this.#counts[index] ?? 0
    if (count === 0) return [endOfArray]
    const length = Buffer.allocUnsafe(5)
    const end = writers().count(count, length, 0)
    const items = this.#bytes.subarray(this.#ends[index - 1] ?? 0, this.#ends[index])
    return [length.subarray(0, end), items, endOfArray]
  }

  clear(): void {
    this.#end = 0
    this.#ends = []
    this.#counts = []
  }
}

let compiled: { head: AvroWriter; adjustment: AvroWriter; repeat: AvroWriter; count: AvroWriter } | undefined

/** Records have no marks of their own: the fields before `facts`, then the three arrays that come last, make the whole. */
function writers() {
  if (compiled === undefined) {
    const itemsOf = (name: string) => (eventType(event).field(name).type as avro.types.ArrayType).itemsType
    compiled = {
      head: eventWriter(event, reducedType(event, ['facts', 'adjustments', 'repeats'])),
      adjustment: eventWriter(event, itemsOf('adjustments')),
      repeat: eventWriter(event, itemsOf('repeats')),
      count: eventWriter(event, parseSchema('"long"')),
    }
  }
  return compiled
}
