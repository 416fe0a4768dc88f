import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Calendar } from '#streams/domain/calendar.ts'
import { newEffects } from '#streams/domain/effects.ts'
import { entryWords } from '#streams/domain/entry.ts'
import { bytes64, type Hash64, hash64 } from '#streams/domain/hash.ts'
import type { Ledger } from '#streams/domain/ledger.ts'
import { Kind, type Transaction } from '#streams/domain/transaction.ts'
import type { Values } from '#streams/domain/values.ts'
import { type Contribution, ReferenceLedger } from './reference-ledger.ts'
import {
  apply,
  base,
  contextOf,
  dates,
  ledgerOf,
  MemoryChunks,
  offsets,
  streams,
  transactionSets,
  valuesOf,
} from './scenario.ts'

const calendar = new Calendar(offsets)
const dayOf = (ms: number) => calendar.dayOf(ms)
const { cutPoints } = contextOf(null)
const runs = { numRuns: 300 }

function keyOf(transactionId: string): string {
  const hash: Hash64 = { hi: 0, lo: 0 }
  hash64(transactionId, hash)
  return bytes64(hash.hi, hash.lo).toString()
}

/** Folds a stream and sums the effects of every transaction. */
function summed(stream: readonly Transaction[], cap?: number) {
  const ledger = new MemoryChunks(cap).empty()
  const sums = new Map<string, Contribution & { time: number }>()
  const accepted: Transaction[] = []
  const add = (key: string, time: number, count: number, gross: number, net: number) => {
    const sum = sums.get(key) ?? { count: 0, gross: 0, net: 0, time }
    expect(sum.time).toBe(time)
    sums.set(key, { time, count: sum.count + count, gross: sum.gross + gross, net: sum.net + net })
  }
  for (const transaction of stream) {
    const effects = newEffects()
    if (apply(ledger, transaction, effects) === 'accepted') {
      accepted.push(transaction)
      add(
        keyOf(transaction.transactionId),
        transaction.occurredAtMs,
        effects.count,
        effects.grossMinor,
        effects.netMinor,
      )
    } else expect(effects).toEqual(newEffects())
    for (const { keyHi, keyLo, occurredAtMs, count, grossMinor, netMinor } of effects.others)
      add(bytes64(keyHi, keyLo).toString(), occurredAtMs, count, grossMinor, netMinor)
  }
  return { ledger, sums, accepted }
}

function total(sums: ReadonlyMap<string, Contribution>) {
  let frequency = 0
  let monetaryGrossMinor = 0
  let monetaryNetMinor = 0
  for (const { count, gross, net } of sums.values()) {
    frequency += count
    monetaryGrossMinor += gross
    monetaryNetMinor += net
  }
  return { frequency, monetaryGrossMinor, monetaryNetMinor }
}

describe('ledger', () => {
  it('says what the plainest reading of the rules says, in any order and with any repetition, as of any date', () => {
    fc.assert(
      fc.property(streams(14), dates, ({ set, stream }, date) => {
        const reference = new ReferenceLedger()
        for (const transaction of set) reference.apply(transaction)
        expect(valuesOf(ledgerOf(stream), date)).toEqual(reference.values(dayOf, date, cutPoints))
      }),
      { numRuns: 1_500 },
    )
  })

  it('has the same entries whatever the order of arrival', () => {
    const entriesOf = (stream: readonly Transaction[]) => {
      const ledger = ledgerOf(stream)
      return Array.from({ length: ledger.count }, (_, number) => {
        const at = ledger.offsetOf(number)
        return ledger
          .wordsOf(number)
          .slice(at, at + entryWords)
          .join()
      }).sort()
    }
    fc.assert(
      fc.property(streams(20), ({ set, stream }) => {
        expect(entriesOf(stream)).toEqual(entriesOf(set))
      }),
      runs,
    )
  })

  it('emits effects whose sum per transaction is what the transaction counts for', () => {
    fc.assert(
      fc.property(streams(14), ({ set, stream }) => {
        const reference = new ReferenceLedger()
        for (const transaction of set) reference.apply(transaction)
        const { ledger, sums } = summed(stream)
        const contributions = reference.contributions()
        expect(sums.size).toBe(contributions.size)
        for (const [id, { count, gross, net }] of contributions)
          expect(sums.get(keyOf(id)), id).toMatchObject({ count, gross, net })
        expect(valuesOf(ledger, null)).toMatchObject(total(sums))
      }),
      { numRuns: 1_000 },
    )
  })

  it('is as if a sale had never been once it is voided', () => {
    const without = ({ transactions, ...values }: Values) => values
    fc.assert(
      fc.property(transactionSets(10), dates, fc.nat(), fc.nat({ max: 50 }), (set, date, place, amountMinor) => {
        const occurredAtMs = base.occurredAtMs - 300 * 86_400_000
        const sale = { ...base, transactionId: 'voided', amountMinor, occurredAtMs, storeId: 'elsewhere' }
        const undo = {
          ...sale,
          transactionId: 'undo',
          kind: Kind.void,
          amountMinor: 0,
          originalTransactionId: 'voided',
        }
        const stream: Transaction[] = [...set]
        stream.splice(place % (set.length + 1), 0, sale)
        stream.splice((place * 7) % (set.length + 2), 0, undo)
        expect(without(valuesOf(ledgerOf(stream), date))).toEqual(without(valuesOf(ledgerOf(set), date)))
      }),
      runs,
    )
  })

  it('as of a date does not depend on later events', () => {
    fc.assert(
      fc.property(streams(14), dates, ({ set, stream }, date) => {
        const known = set.filter(({ occurredAtMs }) => date === null || dayOf(occurredAtMs) <= date)
        expect(valuesOf(ledgerOf(stream), date)).toEqual(valuesOf(ledgerOf(known), date))
      }),
      runs,
    )
  })

  it('is the same after encoding and decoding, at every point of a long stream', () => {
    fc.assert(
      fc.property(streams(180), dates, fc.integer({ min: 1, max: 40 }), ({ set, stream }, date, step) => {
        const store = new MemoryChunks()
        for (let i = 0; i < stream.length; i += step) {
          const ledger = store.load()
          for (const transaction of stream.slice(i, i + step)) apply(ledger, transaction)
          store.store(ledger)
        }
        expect(valuesOf(store.load(), date)).toEqual(valuesOf(ledgerOf(set), date))
        expect(store.storedChunks).toBe(set.length >> 6)
      }),
      { numRuns: 60 },
    )
  })

  it('is not touched by what is applied to a fork, kept or dropped', () => {
    fc.assert(
      fc.property(streams(90), dates, fc.array(fc.boolean()), ({ stream }, date, keeps) => {
        const store = new MemoryChunks()
        let ledger = store.empty()
        const kept: Transaction[] = []
        for (let i = 0, step = 0; i < stream.length; i += 9, step++) {
          const slice = stream.slice(i, i + 9)
          const before = valuesOf(ledger, date)
          const head = ledger.encodeHead().slice()
          const fork = ledger.fork()
          for (const transaction of slice) apply(fork, transaction)
          expect(valuesOf(ledger, date)).toEqual(before)
          expect(ledger.encodeHead()).toEqual(head)
          if (keeps[step] === false) continue
          store.store(fork)
          ledger = fork
          kept.push(...slice)
        }
        expect(valuesOf(ledger, date)).toEqual(valuesOf(ledgerOf(kept), date))
        for (const transaction of kept) expect(apply(ledger, transaction)).toBe('duplicate')
      }),
      { numRuns: 40 },
    )
  })
})

describe('the ledgers of several clients', () => {
  /** Events of up to five clients; ids and references are the same again and again, since they count per client. */
  const crowds = fc
    .array(transactionSets(9), { minLength: 1, maxLength: 5 })
    .map((sets) =>
      sets.flatMap((set, n) => set.map((transaction): Transaction => ({ ...transaction, clientId: `client-${n}` }))),
    )
    .chain((all) =>
      fc
        .shuffledSubarray(all)
        .chain((again) => fc.shuffledSubarray([...all, ...again], { minLength: all.length + again.length }))
        .map((stream) => ({ all, stream })),
    )

  it('sum up to the sums over accepted events, in any order and with any repetition', () => {
    fc.assert(
      fc.property(crowds, ({ all, stream }) => {
        const ledgers = new Map<string, Ledger>()
        const ofEffects = { frequency: 0, monetaryGrossMinor: 0, monetaryNetMinor: 0 }
        const accepted = new Map<string, Transaction[]>()
        for (const transaction of stream) {
          const { clientId } = transaction
          const ledger = ledgers.get(clientId) ?? new MemoryChunks().empty()
          ledgers.set(clientId, ledger)
          const effects = newEffects()
          if (apply(ledger, transaction, effects) !== 'accepted') continue
          accepted.set(clientId, [...(accepted.get(clientId) ?? []), transaction])
          for (const { count, grossMinor, netMinor } of [effects, ...effects.others]) {
            ofEffects.frequency += count
            ofEffects.monetaryGrossMinor += grossMinor
            ofEffects.monetaryNetMinor += netMinor
          }
        }
        expect([...accepted.values()].flat()).toHaveLength(all.length)
        // By the plainest reading of the rules: of all accepted events, client by client.
        const ofEvents = new Map<string, Contribution>()
        for (const [clientId, transactions] of accepted) {
          const reference = new ReferenceLedger()
          for (const transaction of transactions) reference.apply(transaction)
          for (const [id, contribution] of reference.contributions()) ofEvents.set(`${clientId} ${id}`, contribution)
        }
        const ofClients = { frequency: 0, monetaryGrossMinor: 0, monetaryNetMinor: 0, transactions: 0 }
        for (const ledger of ledgers.values()) {
          const { frequency, monetaryGrossMinor, monetaryNetMinor, transactions } = valuesOf(ledger, null)
          ofClients.frequency += frequency
          ofClients.monetaryGrossMinor += monetaryGrossMinor
          ofClients.monetaryNetMinor += monetaryNetMinor
          ofClients.transactions += transactions
        }
        expect(ofClients).toEqual({ ...total(ofEvents), transactions: all.length })
        expect(ofClients).toEqual({ ...ofEffects, transactions: all.length })
      }),
      runs,
    )
  })
})

describe('a ledger beyond its cap', () => {
  /** Date-free values that folding must not change. */
  const sumsOf = (values: Values) => {
    const { frequency, sales, monetaryGrossMinor, monetaryNetMinor, refundedMinor, transactions } = values
    const { bonusEarnedMinor, bonusSpentMinor, firstPurchaseAtMs, lastPurchaseAtMs, stores } = values
    const money = { monetaryGrossMinor, monetaryNetMinor, refundedMinor, bonusEarnedMinor, bonusSpentMinor }
    return { frequency, sales, transactions, firstPurchaseAtMs, lastPurchaseAtMs, stores, ...money }
  }

  it('keeps every sum, and its effects still add up', () => {
    fc.assert(
      fc.property(streams(60), ({ stream }) => {
        const { ledger, sums, accepted } = summed(stream, 24)
        const values = valuesOf(ledger, null)
        expect(values).toMatchObject(total(sums))
        expect(sumsOf(values)).toEqual(sumsOf(valuesOf(ledgerOf(accepted), null)))
        expect(ledger.count).toBeLessThan(48)
      }),
      runs,
    )
  })

  it('is the same through stores and forks as in one go', () => {
    fc.assert(
      fc.property(streams(200), dates, fc.integer({ min: 1, max: 50 }), ({ stream }, date, step) => {
        const cap = 70
        const store = new MemoryChunks(cap)
        let cached = store.empty()
        for (let i = 0; i < stream.length; i += step) {
          const fork = (i & 1) === 0 ? cached.fork() : store.load()
          for (const transaction of stream.slice(i, i + step)) apply(fork, transaction)
          store.store(fork)
          cached = fork
        }
        const whole = ledgerOf(stream, cap)
        expect(valuesOf(store.load(), date)).toEqual(valuesOf(whole, date))
        expect(valuesOf(cached, date)).toEqual(valuesOf(whole, date))
        expect(store.storedChunks).toBe(whole.count >> 6)
        expect(store.load().encodeHead()).toEqual(whole.encodeHead())
      }),
      { numRuns: 60 },
    )
  })

  it('still knows every repetition', () => {
    fc.assert(
      fc.property(transactionSets(60), (set) => {
        const { ledger, accepted } = summed(set, 10)
        for (const transaction of accepted) expect(apply(ledger, transaction)).toBe('duplicate')
      }),
      runs,
    )
  })
})
