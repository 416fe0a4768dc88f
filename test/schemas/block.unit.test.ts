import { describe, expect, it } from 'vitest'
import { BlockEncoder } from '#schemas/block.ts'
import { eventType, frameLength, schemaIdOf } from '#schemas/codec.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import type { Adjustment, Fact, TransactionsAccepted } from '#schemas/events.ts'
import type { NewFact } from '#schemas/fact.ts'
import { ScannedTransaction, scan } from '#schemas/transaction-scan.ts'
import { fact } from './samples.ts'

const head = { task: 3, step: 12_345_678_901, from_offset: 10, to_offset: 9_000_000_000 }
const batches = [{ batch_id: 'партия', accepted: 2, duplicates: 1, dead: 0 }]

function adjustment(i: number): Adjustment {
  const { transaction_key, client_id, occurred_at, day, offset } = fact(i)
  const effects = { count_effect: -1, gross_effect_minor: -i, net_effect_minor: -i }
  return { transaction_key, client_id, occurred_at, day, offset, ...effects }
}

const transactions = new EventEncoder('TransactionRecorded', 1)

/** What makes this fact. */
function newFact({ transaction_key, ...fact }: Fact): NewFact {
  const transaction = new ScannedTransaction()
  expect(scan(transactions.encode({ ...fact, currency: 'RUB' }), transaction)).toBe(true)
  const key = Buffer.from(transaction_key)
  return { ...fact, transaction, keyHi: key.readUInt32BE(0), keyLo: key.readUInt32BE(4) }
}

function read(value: Buffer): TransactionsAccepted {
  expect(schemaIdOf(value)).toBe(7)
  return JSON.parse(JSON.stringify(eventType('TransactionsAccepted').fromBuffer(value.subarray(frameLength))))
}

function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value))
}

describe('an encoder of blocks', () => {
  it('gives one part without facts for a step in which nothing counted', () => {
    const values = new BlockEncoder(7).render(head, [])
    expect(values.map(read)).toEqual([
      { ...head, part: 1, parts: 1, batches: [], facts: [], adjustments: [], repeats: [] },
    ])
  })

  it('keeps facts, adjustments and repeats in order over as many parts as they need, counts in the first', () => {
    const encoder = new BlockEncoder(7)
    const facts = Array.from({ length: 9_000 }, (_, i) => fact(i))
    const adjustments = Array.from({ length: 7_000 }, (_, i) => adjustment(i))
    for (const one of facts) encoder.fact(newFact(one))
    for (const one of adjustments) encoder.adjustment(one)
    const repeats = Array.from({ length: 8_000 }, (_, i) => {
      return { batch_id: i % 3 === 0 ? null : 'b'.repeat(200), store_id: `store-${i}`, day: i, repeats: 1 + i }
    })
    for (const one of repeats) encoder.repeat(one)
    const values = encoder.render(head, batches)
    const parts = values.map(read)
    expect(parts.length).toBeGreaterThan(2)
    for (const value of values) expect(value.length).toBeLessThan(900_000)
    expect(parts.map(({ part }) => part)).toEqual(parts.map((_, i) => i + 1))
    expect(new Set(parts.map((part) => part.parts))).toEqual(new Set([parts.length]))
    expect(parts.flatMap((part) => part.facts)).toEqual(plain(facts))
    expect(parts.flatMap((part) => part.adjustments)).toEqual(plain(adjustments))
    expect(parts.flatMap((part) => part.repeats)).toEqual(repeats)
    expect(parts.flatMap((part) => part.batches)).toEqual(batches)
  })

  it('grows for a fact that is larger than everything before', () => {
    const encoder = new BlockEncoder(7)
    const large = { ...fact(1), categories: Array.from({ length: 250 }, () => 'x'.repeat(1_000)) }
    encoder.fact(newFact(fact(0)))
    encoder.fact(newFact(large))
    expect(encoder.render(head, []).flatMap((value) => read(value).facts)).toEqual(plain([fact(0), large]))
  })

  it('takes every field of a transaction over, and knows the transaction of a fact by its place', () => {
    const long = 'ю'.repeat(3_000)
    const nothing = { batch_id: null, store_id: null, receipt_number: null, segment_before: null, categories: [] }
    const everything: Partial<Fact> = {
      kind: 'REFUND',
      batch_id: 'партия',
      store_id: long,
      terminal_id: 'касса 1',
      receipt_number: '',
      original_transaction_id: 'pos:front:1',
      payment_method: 'card',
      items_count: -5,
      categories: ['сыр', '', 'dairy'],
      discount_minor: 2 ** 52,
      bonus_spent_minor: 2 ** 47 - 1,
      segment_before: long,
    }
    const facts = [
      fact(0),
      { ...fact(1), ...nothing },
      { ...fact(2), ...everything },
      { ...fact(3), kind: 'VOID' as const },
    ]
    const encoder = new BlockEncoder(7)
    const places = facts.map((one) => encoder.fact(newFact(one)))
    expect(places.map((place) => encoder.transactionId(place))).toEqual(facts.map((one) => one.transaction_id))
    expect(encoder.render(head, []).flatMap((value) => read(value).facts)).toEqual(plain(facts))
  })

  it('begins the next block after a render and after a clear', () => {
    const encoder = new BlockEncoder(7)
    encoder.fact(newFact(fact(0)))
    encoder.render(head, [])
    encoder.fact(newFact(fact(1)))
    encoder.adjustment(adjustment(1))
    encoder.repeat({ batch_id: null, store_id: null, day: 1, repeats: 1 })
    encoder.clear()
    encoder.fact(newFact(fact(2)))
    const [value] = encoder.render(head, [])
    expect(read(value!)).toMatchObject({ facts: plain([fact(2)]), adjustments: [], repeats: [] })
  })

  it('refuses a fact that the schema does not take', () => {
    const broken = { ...newFact(fact(0)), day: 0.5 }
    expect(() => new BlockEncoder(7).fact(broken)).toThrow(expect.objectContaining({ code: 'event_invalid' }))
  })
})
