import { describe, expect, it } from 'vitest'
import { BlockEncoder } from '#schemas/block.ts'
import { eventType, frameLength, schemaIdOf } from '#schemas/codec.ts'
import type { Adjustment, TransactionsAccepted } from '#schemas/events.ts'
import { fact } from './samples.ts'

const head = { task: 3, step: 12_345_678_901, from_offset: 10, to_offset: 9_000_000_000 }
const batches = [{ batch_id: 'партия', accepted: 2, duplicates: 1, dead: 0 }]

function adjustment(i: number): Adjustment {
  const { transaction_key, client_id, occurred_at, day, offset } = fact(i)
  const effects = { count_effect: -1, gross_effect_minor: -i, net_effect_minor: -i }
  return { transaction_key, client_id, occurred_at, day, offset, ...effects }
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
    expect(values.map(read)).toEqual([{ ...head, part: 1, parts: 1, batches: [], facts: [], adjustments: [] }])
  })

  it('keeps facts and adjustments in order over as many parts as they need, counts in the first', () => {
    const encoder = new BlockEncoder(7)
    const facts = Array.from({ length: 9_000 }, (_, i) => fact(i))
    const adjustments = Array.from({ length: 7_000 }, (_, i) => adjustment(i))
    for (const one of facts) encoder.fact(one)
    for (const one of adjustments) encoder.adjustment(one)
    const values = encoder.render(head, batches)
    const parts = values.map(read)
    expect(parts.length).toBeGreaterThan(2)
    for (const value of values) expect(value.length).toBeLessThan(900_000)
    expect(parts.map(({ part }) => part)).toEqual(parts.map((_, i) => i + 1))
    expect(new Set(parts.map((part) => part.parts))).toEqual(new Set([parts.length]))
    expect(parts.flatMap((part) => part.facts)).toEqual(plain(facts))
    expect(parts.flatMap((part) => part.adjustments)).toEqual(plain(adjustments))
    expect(parts.flatMap((part) => part.batches)).toEqual(batches)
  })

  it('grows for a fact that is larger than everything before', () => {
    const encoder = new BlockEncoder(7)
    const large = { ...fact(1), categories: Array.from({ length: 250 }, () => 'x'.repeat(1_000)) }
    encoder.fact(fact(0))
    encoder.fact(large)
    expect(encoder.render(head, []).flatMap((value) => read(value).facts)).toEqual(plain([fact(0), large]))
  })

  it('begins the next block after a render and after a clear', () => {
    const encoder = new BlockEncoder(7)
    encoder.fact(fact(0))
    encoder.render(head, [])
    encoder.fact(fact(1))
    encoder.adjustment(adjustment(1))
    encoder.clear()
    encoder.fact(fact(2))
    const [value] = encoder.render(head, [])
    expect(read(value!)).toMatchObject({ facts: plain([fact(2)]), adjustments: [] })
  })

  it('refuses a fact that the schema does not take', () => {
    const broken = { ...fact(0), day: 0.5 }
    expect(() => new BlockEncoder(7).fact(broken)).toThrow(expect.objectContaining({ code: 'event_invalid' }))
  })
})
