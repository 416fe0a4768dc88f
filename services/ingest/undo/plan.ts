import { Kind } from '#streams/domain/transaction.ts'
import type { Generations } from './generations.ts'
import { KeyTable } from './receipt-key.ts'
import { Owner, type Seen } from './scan.ts'
import { Successors } from './successors.ts'

/**
 * What is to be done to the receipts of one partition so that the programme stands as if a batch had never come (`undo`),
 * or as if its receipts with other content had come first (`replace`). Pure: the same log gives the same plan.
 *
 * A receipt *ends* its generation: what stands of it is voided, and whatever comes of it from now on has the next one.
 *
 * - `removed`: delivered by the batch and by nobody else that stands. Not published again.
 * - `succeeded`: as removed, but somebody who stands brought other content (`Successors`). Published again with that.
 * - `replaced`: the batch brought other content. Published again with that.
 * - `renewed`: others deliver it and it stays, but it refers to a receipt that ends its generation, or a VOID of it is
 *   removed (which nothing else can take back). Published again for those who delivered it.
 * - `bumped`: as renewed, but it never came: when it does, a removed VOID must not find it.
 */
export type Fate = 'removed' | 'succeeded' | 'replaced' | 'renewed' | 'bumped'

export type Purpose = 'undo' | 'replace'

export interface PlanOptions {
  readonly purpose: Purpose
  readonly generations: Generations
  /** Offsets of conflicting transactions that are not to come in force. */
  readonly putAside?: ReadonlySet<number>
}

export interface Action {
  /** Number of the key. */
  readonly item: number
  /** It is what the batch brought alone. */
  readonly removes: boolean
  /** A VOID of it is to be published. A VOID itself cannot be voided: what it voided is renewed. */
  readonly voids: boolean
  /** It is to be published again, in the next generation. */
  readonly publishesAgain: boolean
}

const none = -1

export class PartitionPlan {
  readonly keys = new KeyTable()
  readonly #options: PlanOptions
  /** By the number of the key. Offsets are those of the first record of the current generation, -1 for none. */
  readonly #generation: number[] = []
  readonly #offset: number[] = []
  readonly #content: number[] = []
  readonly #kind: number[] = []
  readonly #delivered: number[] = []
  /** The last record of the batch, of whatever generation: -1 for none. */
  readonly #brought: number[] = []
  readonly #broughtContent: number[] = []
  readonly #successors = new Successors()
  readonly #ref: number[] = []
  readonly #refGeneration: number[] = []
  /** True for keys of which every record was seen in this pass. */
  readonly #whole: boolean[] = []
  #corrections: number[] = []
  readonly fates = new Map<number, Fate>()

  constructor(options: PlanOptions) {
    this.#options = options
  }

  /** First pass: which receipts the batch delivered. */
  collect(seen: Seen): void {
    if (seen.owner === Owner.subject) this.#add(seen.key)
  }

  /** Begins a pass over all transactions; every one of them goes to `take`. */
  begin(): void {
    this.#corrections = []
    this.fates.clear()
    this.#successors.forget()
    for (let i = 0; i < this.keys.size; i++) {
      this.#forget(i)
      this.#whole[i] = true
    }
  }

  take(seen: Seen): void {
    const { entry, owner, record } = seen
    const refers = (entry.refHi | entry.refLo) !== 0
    let item = this.keys.find(seen.key)
    if (item < 0) {
      if (!refers) return
      item = this.#add(seen.key)
      this.#whole[item] = true
    }
    if (owner === Owner.subject) {
      this.#brought[item] = record.offset
      this.#broughtContent[item] = entry.content
    }
    const stands = owner === Owner.standing && this.#options.putAside?.has(record.offset) !== true
    if (seen.generation !== this.#generation[item]) {
      if (seen.generation < this.#generation[item]!)
        this.#successors.earlier(item, seen.generation, entry.content, record.offset, stands)
      return
    }
    if (this.#offset[item]! < 0) {
      this.#offset[item] = record.offset
      this.#content[item] = entry.content
      this.#kind[item] = entry.kind
      if (refers) {
        this.#ref[item] = this.#add(seen.refKey)
        this.#refGeneration[item] = seen.refGeneration
        this.#corrections.push(item)
      }
    }
    if (this.#content[item] === entry.content) this.#delivered[item]! |= 1 << owner
    else if (stands) this.#successors.conflicting(item, record.offset)
  }

  /** Settles the fates. False where another pass is needed first: records of receipts were passed over before they mattered. */
  settle(): boolean {
    const referring = this.#referring()
    const queue: number[] = []
    let missed = false
    const give = (item: number, fate: Fate) => {
      if (this.fates.has(item)) return
      this.fates.set(item, fate)
      queue.push(item)
    }
    for (let item = 0; item < this.keys.size; item++) {
      const fate = this.#ownFate(item)
      if (fate !== null) give(item, fate)
    }
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
      const fate = this.fates.get(item)!
      for (const other of referring.get(item) ?? [])
        if (this.#refGeneration[other] === this.#generation[item] && this.#stays(other)) give(other, 'renewed')
      if (this.#kind[item] !== Kind.void || fate === 'renewed') continue
      const original = this.#ref[item]!
      if (!this.#whole[original]) missed = true
      else give(original, this.#offset[original]! < 0 ? 'bumped' : 'renewed')
    }
    return !missed
  }

  /** What becomes of a transaction that was seen before; null for nothing. */
  actionOf(seen: Seen): Action | null {
    const item = this.keys.find(seen.key)
    const fate = this.fates.get(item)
    if (fate === undefined) return null
    const first = seen.record.offset === this.#offset[item]
    return {
      item,
      removes: first && (fate === 'removed' || fate === 'succeeded'),
      voids: first && this.#kind[item] !== Kind.void,
      publishesAgain: this.#comesAgain(item, fate, seen),
    }
  }

  #comesAgain(item: number, fate: Fate, { record: { offset }, generation, entry, owner }: Seen): boolean {
    if (fate === 'replaced') return offset === this.#brought[item]
    if (fate === 'succeeded') return offset === this.#successors.of(item)
    if (fate !== 'renewed' || generation !== this.#generation[item]) return false
    return entry.content === this.#content[item] && this.#counts(owner)
  }

  /** True for the record of a transaction of the batch that stays because others delivered it too. */
  standsAt(seen: Seen): boolean {
    const item = this.keys.find(seen.key)
    if (item < 0 || seen.record.offset !== this.#offset[item] || seen.generation !== this.#generation[item])
      return false
    const both = (1 << Owner.subject) | (1 << Owner.standing)
    return (this.#delivered[item]! & both) === both
  }

  /** The generation that the receipt of a key has after this. */
  generationAfter(item: number): number {
    return this.#generation[item]! + (this.fates.has(item) ? 1 : 0)
  }

  #add(key: { hi: number; lo: number }): number {
    const item = this.keys.add(key)
    if (item === this.#generation.length) {
      this.#generation.push(this.#options.generations.of(key))
      this.#whole.push(false)
      this.#forget(item)
    }
    return item
  }

  #forget(item: number): void {
    this.#offset[item] = none
    this.#content[item] = 0
    this.#kind[item] = Kind.unknown
    this.#delivered[item] = 0
    this.#brought[item] = none
    this.#broughtContent[item] = 0
    this.#ref[item] = none
    this.#refGeneration[item] = 0
  }

  #ownFate(item: number): Fate | null {
    if (this.#offset[item]! < 0) return null
    if (this.#options.purpose === 'replace') return this.#isInConflict(item) ? 'replaced' : null
    const mine = (this.#delivered[item]! & (1 << Owner.subject)) !== 0
    if (!mine || this.#stays(item)) return null
    return this.#successors.of(item) < 0 ? 'removed' : 'succeeded'
  }

  /** True where the batch brought other content than is in force. */
  #isInConflict(item: number): boolean {
    return this.#brought[item]! >= 0 && this.#broughtContent[item] !== this.#content[item]
  }

  /** True where somebody who stands delivered what stands. */
  #stays(item: number): boolean {
    const delivered = this.#delivered[item]!
    if ((delivered & (1 << Owner.standing)) !== 0) return true
    return this.#options.purpose === 'replace' && (delivered & (1 << Owner.subject)) !== 0
  }

  #counts(owner: Owner): boolean {
    return owner === Owner.standing || (owner === Owner.subject && this.#options.purpose === 'replace')
  }

  /** Refunds and voids by the number of what they refer to. */
  #referring(): Map<number, number[]> {
    const referring = new Map<number, number[]>()
    for (const item of this.#corrections) {
      const original = this.#ref[item]!
      const others = referring.get(original)
      if (others === undefined) referring.set(original, [item])
      else others.push(item)
    }
    return referring
  }
}
