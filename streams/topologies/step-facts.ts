import type { BlockEncoder } from '#schemas/block.ts'
import type { BatchCounts, RepeatCount } from '#schemas/events.ts'
import type { NewFact } from '#schemas/fact.ts'
import { type ScannedTransaction, textAt } from '#schemas/transaction-scan.ts'
import { sameBytes } from '../core/bytes.ts'
import type { Effect } from '../domain/effects.ts'
import type { StepIdentity } from '../runtime/topology.ts'

interface Counts {
  accepted: number
  duplicates: number
  dead: number
}

type Outcome = keyof Counts

type Repeats = { -readonly [Name in keyof RepeatCount]: RepeatCount[Name] }

/** Collects what a step took in, and renders it as the values of a block. */
export class StepFacts {
  readonly #block: BlockEncoder
  readonly #batches = new Map<string, Counts>()
  /** The batch counted last, as bytes: records of one batch come one behind the other. */
  #lastBatch = new Uint8Array(0)
  #lastCounts: Counts | null = null
  readonly #repeats = new Map<string, Repeats>()

  /** Begins a block: what `block` held is forgotten. */
  constructor(block: BlockEncoder) {
    this.#block = block
    block.clear()
  }

  /** Counts one record of an upload batch; records of no batch are not counted. */
  count(batchId: string | null, outcome: Outcome): void {
    if (batchId !== null) this.#countsOf(batchId)[outcome] += 1
  }

  /** As `count`, for a transaction in its bytes. */
  countScanned({ bytes, batchAt: from, batchEnd: to }: ScannedTransaction, outcome: Outcome): void {
    if (from < 0) return
    const last = this.#lastBatch
    const isLast = last.length === to - from && sameBytes(bytes, from, to, last, 0)
    if (this.#lastCounts === null || !isLast) {
      // A slice of a Buffer would be a view.
      this.#lastBatch = new Uint8Array(bytes.subarray(from, to))
      this.#lastCounts = this.#countsOf(textAt(bytes, from, to))
    }
    this.#lastCounts[outcome] += 1
  }

  /** Counts a transaction that had been taken in before; `day` is its business day. An empty text counts as none. */
  repeat({ bytes, batchAt, batchEnd, storeAt, storeEnd }: ScannedTransaction, day: number): void {
    const batch_id = batchAt < 0 || batchAt === batchEnd ? null : textAt(bytes, batchAt, batchEnd)
    const store_id = storeAt < 0 || storeAt === storeEnd ? null : textAt(bytes, storeAt, storeEnd)
    // The length tells where the one text ends and the other begins.
    const key = `${day} ${batch_id?.length ?? 0} ${batch_id ?? ''}${store_id ?? ''}`
    const known = this.#repeats.get(key)
    if (known === undefined) this.#repeats.set(key, { batch_id, store_id, day, repeats: 1 })
    else known.repeats += 1
  }

  #countsOf(batchId: string): Counts {
    let counts = this.#batches.get(batchId)
    if (counts === undefined) {
      counts = { accepted: 0, duplicates: 0, dead: 0 }
      this.#batches.set(batchId, counts)
    }
    return counts
  }

  /** Answers the place of the fact, for `transactionId`. */
  add(fact: NewFact): number {
    return this.#block.fact(fact)
  }

  transactionId(place: number): string {
    return this.#block.transactionId(place)
  }

  adjust(clientId: string, effect: Effect, day: number, offset: number): void {
    this.#block.adjustment({
      transaction_key: transactionKey(effect.keyHi, effect.keyLo),
      client_id: clientId,
      occurred_at: effect.occurredAtMs,
      day,
      offset,
      count_effect: effect.count,
      gross_effect_minor: effect.grossMinor,
      net_effect_minor: effect.netMinor,
    })
  }

  /** One value per part, at least one. Every part fits a record. */
  render(task: number, identity: StepIdentity): Buffer[] {
    const batches: BatchCounts[] = [...this.#batches].map(([batch_id, counts]) => ({ batch_id, ...counts }))
    for (const repeats of this.#repeats.values()) this.#block.repeat(repeats)
    const { step, fromOffset, toOffset } = identity
    return this.#block.render({ task, step, from_offset: fromOffset, to_offset: toOffset }, batches)
  }
}

const key = Buffer.alloc(8)

/** A transaction's key as it is in events: eight bytes, big-endian. Good until the next call. */
export function transactionKey(hi: number, lo: number): Buffer {
  key.writeUInt32BE(hi, 0)
  key.writeUInt32BE(lo, 4)
  return key
}
