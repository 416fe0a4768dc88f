import type { BlockEncoder } from '#schemas/block.ts'
import type { BatchCounts, Fact } from '#schemas/events.ts'
import type { Effect } from '../domain/effects.ts'
import type { StepIdentity } from '../runtime/topology.ts'

/** Collects what a step took in, and renders it as the values of a block. */
export class StepFacts {
  readonly #block: BlockEncoder
  readonly #batches = new Map<string, { accepted: number; duplicates: number; dead: number }>()

  /** Begins a block: what `block` held is forgotten. */
  constructor(block: BlockEncoder) {
    this.#block = block
    block.clear()
  }

  /** Counts one record of an upload batch; records of no batch are not counted. */
  count(batchId: string | null, outcome: 'accepted' | 'duplicates' | 'dead'): void {
    if (batchId === null) return
    let counts = this.#batches.get(batchId)
    if (counts === undefined) {
      counts = { accepted: 0, duplicates: 0, dead: 0 }
      this.#batches.set(batchId, counts)
    }
    counts[outcome] += 1
  }

  add(fact: Fact): void {
    this.#block.fact(fact)
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
