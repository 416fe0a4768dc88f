import type { EventEncoder } from '#schemas/encoder.ts'
import type { Adjustment, BatchCounts, Fact } from '#schemas/events.ts'
import type { Effect } from '../domain/effects.ts'
import type { StepIdentity } from '../runtime/topology.ts'

/** Facts per part of a block, to begin with, and bytes that a part may have: below every log's limit for a record. */
const factsPerPart = 2_000
const largestPart = 900_000

/** Collects what a step took in, and renders it as the values of a block. */
export class StepFacts {
  readonly facts: Fact[] = []
  readonly adjustments: Adjustment[] = []
  readonly #batches = new Map<string, { accepted: number; duplicates: number; dead: number }>()

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

  adjust(clientId: string, effect: Effect, day: number, offset: number): void {
    this.adjustments.push({
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
  render(task: number, identity: StepIdentity, encoder: EventEncoder<'TransactionsAccepted'>): Buffer[] {
    const batches: BatchCounts[] = [...this.#batches].map(([batch_id, counts]) => ({ batch_id, ...counts }))
    for (let size = factsPerPart; ; size = Math.ceil(size / 2)) {
      const parts = Math.max(1, Math.ceil(Math.max(this.facts.length, this.adjustments.length) / size))
      const values: Buffer[] = []
      for (let part = 0; part < parts; part++)
        values.push(
          encoder.encode({
            task,
            step: identity.step,
            part: part + 1,
            parts,
            from_offset: identity.fromOffset,
            to_offset: identity.toOffset,
            batches: part === 0 ? batches : [],
            facts: parts === 1 ? this.facts : this.facts.slice(part * size, (part + 1) * size),
            adjustments: parts === 1 ? this.adjustments : this.adjustments.slice(part * size, (part + 1) * size),
          }),
        )
      if (size === 1 || values.every((value) => value.length <= largestPart)) return values
    }
  }
}

const keyOf = new DataView(new ArrayBuffer(8))

/** A transaction's key as it is in events: eight bytes, big-endian. */
export function transactionKey(hi: number, lo: number): Buffer {
  keyOf.setUint32(0, hi)
  keyOf.setUint32(4, lo)
  return Buffer.from(new Uint8Array(keyOf.buffer))
}
