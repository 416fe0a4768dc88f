import fc from 'fast-check'
import { dayMs } from '#streams/domain/calendar.ts'
import { type Context, evolve, initialContext } from '#streams/domain/context.ts'
import { type Effects, newEffects } from '#streams/domain/effects.ts'
import { entryOf, newEntry } from '#streams/domain/entry.ts'
import { evaluate } from '#streams/domain/evaluate.ts'
import { Ledger, type LedgerSettings, type Outcome } from '#streams/domain/ledger.ts'
import { Kind, type Transaction } from '#streams/domain/transaction.ts'
import { newValues, type Values } from '#streams/domain/values.ts'

/** Moscow, which gave up its summer time, with an hour set back at midnight for good measure. */
export const offsets = [
  { fromMs: 0, offsetMinutes: 180 },
  { fromMs: Date.UTC(2023, 2, 26, 1), offsetMinutes: 240 },
  { fromMs: Date.UTC(2023, 9, 28, 20, 30), offsetMinutes: 180 },
]

export const base: Transaction = {
  transactionId: 'till:r=1',
  clientId: 'client',
  kind: Kind.sale,
  occurredAtMs: Date.UTC(2024, 0, 15, 12),
  amountMinor: 100,
  currency: 'RUB',
  originalTransactionId: null,
  storeId: null,
  discountMinor: 0,
  bonusEarnedMinor: 0,
  bonusSpentMinor: 0,
  lines: [],
}

export function sale(id: string, amountMinor: number, day: string, more: Partial<Transaction> = {}): Transaction {
  return { ...base, transactionId: id, amountMinor, occurredAtMs: Date.parse(`${day}T12:00:00Z`), ...more }
}

export function refund(id: string, of: string | null, amountMinor: number, day: string): Transaction {
  return { ...sale(id, amountMinor, day), kind: Kind.refund, originalTransactionId: of }
}

export function voidOf(id: string, of: string, day: string): Transaction {
  return { ...sale(id, 0, day), kind: Kind.void, originalTransactionId: of }
}

export function contextOf(date: number | null): Context {
  const programme = {
    programmeId: 'p',
    currency: 'RUB',
    timeZone: 'Europe/Moscow',
    offsets,
    clock: 'events',
    monetaryBasis: 'net',
    partitions: 8,
    ledgerCap: 4_096,
  } as const
  let context = evolve(initialContext(), { type: 'programme_configured', programme })
  const cutPoints = { recencyDays: [10, 100], frequency: [1, 3, 5], monetaryMinor: [50, 500], basis: 'net' } as const
  context = evolve(context, { type: 'cut_points_published', cutPoints })
  return date === null ? context : evolve(context, { type: 'day_started', day: date })
}

/** Chunks of one client, as a store keeps them. */
export class MemoryChunks {
  readonly settings: LedgerSettings
  head: Uint8Array | null = null
  readonly #entries = new Map<number, Uint8Array>()
  readonly #cold = new Map<number, Uint8Array>()
  loads = 0

  constructor(cap = 4_096) {
    const load = (chunks: Map<number, Uint8Array>, index: number) => {
      this.loads++
      const bytes = chunks.get(index)
      if (bytes === undefined) throw new Error(`chunk ${index} was never stored`)
      return bytes
    }
    const chunks = {
      entryChunk: (_: string, index: number) => load(this.#entries, index),
      coldChunk: (_: string, index: number) => load(this.#cold, index),
    }
    this.settings = { cap, chunks }
  }

  store(ledger: Ledger): void {
    this.head = ledger.encodeHead().slice()
    for (const [target, changes] of [
      [this.#entries, ledger.changedChunks()],
      [this.#cold, ledger.changedColdChunks()],
    ] as const)
      for (const { index, bytes } of changes)
        if (bytes === null) target.delete(index)
        else target.set(index, bytes.slice())
    ledger.settle()
  }

  get storedChunks(): number {
    return this.#entries.size
  }

  get storedColdChunks(): number {
    return this.#cold.size
  }

  load(): Ledger {
    return this.head === null ? this.empty() : Ledger.decode(this.head, 'client', this.settings)
  }

  empty(): Ledger {
    return Ledger.empty(this.settings)
  }
}

const entry = newEntry()

export function apply(ledger: Ledger, transaction: Transaction, effects: Effects = newEffects()): Outcome {
  return ledger.apply(entryOf(transaction, entry), effects)
}

export function ledgerOf(transactions: readonly Transaction[], cap = 4_096): Ledger {
  const ledger = new MemoryChunks(cap).empty()
  for (const transaction of transactions) apply(ledger, transaction)
  return ledger
}

export function valuesOf(ledger: Ledger, date: number | null): Values {
  const values = newValues()
  evaluate(ledger, contextOf(date), values)
  return values
}

export const firstDay = Date.UTC(2023, 0, 1) / dayMs
export const days = 500

/**
 * Sets of transactions of one client without conflicts: ids t0 … , references to any of them or to none that exists, times
 * within 500 days, often the same, amounts small so that they often agree.
 */
export function transactionSets(most: number): fc.Arbitrary<Transaction[]> {
  const content = fc.record({
    kind: fc.constantFrom(Kind.sale, Kind.sale, Kind.sale, Kind.refund, Kind.refund, Kind.void),
    time: fc.oneof(
      fc.integer({ min: 0, max: days * dayMs }),
      fc.integer({ min: 0, max: 6 }).map((day) => day * 80 * dayMs),
    ),
    amountMinor: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 2 ** 40 })),
    original: fc.option(fc.nat({ max: Math.ceil(most * 1.2) }), { freq: 4 }),
    storeId: fc.option(fc.constantFrom('a', 'b', 'c'), { freq: 3 }),
    bonusEarnedMinor: fc.integer({ min: 0, max: 2 ** 34 }),
    bonusSpentMinor: fc.nat({ max: 3 }),
  })
  return fc.array(content, { maxLength: most, size: 'max' }).map((contents) =>
    contents.map(({ kind, time, amountMinor, original, storeId, bonusEarnedMinor, bonusSpentMinor }, i) => ({
      ...base,
      transactionId: `t${i}`,
      kind,
      occurredAtMs: firstDay * dayMs + time,
      amountMinor: kind === Kind.void ? 0 : amountMinor,
      originalTransactionId:
        kind === Kind.sale || (original === null && kind === Kind.refund) ? null : `t${original ?? i + 1}`,
      storeId,
      bonusEarnedMinor,
      bonusSpentMinor,
    })),
  )
}

/** A set, in some order, with some of it more than once. */
export function streams(most: number): fc.Arbitrary<{ set: Transaction[]; stream: Transaction[] }> {
  return transactionSets(most).chain((set) =>
    fc
      .tuple(fc.shuffledSubarray(set), fc.shuffledSubarray(set, { minLength: set.length }))
      .chain(([again, all]) =>
        fc
          .shuffledSubarray([...all, ...again], { minLength: all.length + again.length })
          .map((stream) => ({ set, stream })),
      ),
  )
}

/** Dates before, within and after the times of `transactionSets`, and none. */
export const dates = fc.option(fc.integer({ min: firstDay - 2, max: firstDay + days + 400 }), { freq: 8 })
