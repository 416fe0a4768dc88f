import { describe, expect, test } from 'vitest'
import type { TransactionRecorded } from '#schemas/events.ts'
import { convertMinor, parseRate } from '#services/ingest/dead-letters/convert.ts'
import { mend } from '#services/ingest/dead-letters/mend.ts'
import { type MendingRule, parseRule } from '#services/ingest/dead-letters/rule.ts'

const event: TransactionRecorded = {
  transaction_id: 'pos:i=1',
  client_id: 'c1',
  kind: 'SALE',
  occurred_at: Date.UTC(2026, 2, 1, 12),
  amount_minor: 1_000,
  currency: 'EUR',
  source: 'pos:pos',
  store_id: '12',
  terminal_id: null,
  receipt_number: null,
  original_transaction_id: null,
  payment_method: null,
  batch_id: 'b1',
  items_count: 1,
  categories: [],
  lines: [{ sku: 'a', description: null, category: null, quantity: 1, amount_minor: 333 }],
  discount_minor: 10,
  bonus_earned_minor: 0,
  bonus_spent_minor: 0,
  attributes: { cashier: 'z' },
}
const programme = { currency: 'RUB' }

function mended(rule: MendingRule, of: Partial<TransactionRecorded> = {}) {
  const result = mend({ ...event, ...of }, rule, programme)
  if (result.kind !== 'mended') throw new Error(result.detail)
  return result
}

describe('a rule', () => {
  test('sets fields and leaves the others as they are, ids and origin among them', () => {
    const rule = parseRule({ set: { currency: 'RUB', store_id: null, occurred_at: '2026-03-01T15:30:00+03:00' } })
    expect(mended(rule)).toEqual({
      kind: 'mended',
      changed: true,
      event: { ...event, currency: 'RUB', store_id: null, occurred_at: Date.UTC(2026, 2, 1, 12, 30) },
    })
  })

  test('maps clients that it names, and says where it changes nothing', () => {
    const rule = parseRule({ map_client: { c1: 'c-1', constructor: 'x' } })
    expect(mended(rule)).toMatchObject({ changed: true, event: { client_id: 'c-1' } })
    expect(mended(rule, { client_id: 'toString' })).toMatchObject({ changed: false, event: { client_id: 'toString' } })
    expect(mended(parseRule({ set: { currency: 'EUR' } }))).toMatchObject({ changed: false })
  })

  test('accepts a currency by re-expressing every amount, and notes what it was', () => {
    const rule = parseRule({ accept_currency: { currency: 'EUR', rate: '98.405' } })
    expect(mended(rule).event).toEqual({
      ...event,
      currency: 'RUB',
      amount_minor: 98_405,
      discount_minor: 984,
      lines: [{ ...event.lines[0], amount_minor: 32_769 }],
      attributes: {
        cashier: 'z',
        original_currency: 'EUR',
        original_amount_minor: '1000',
        exchange_rate: '98.405',
      },
    })
    expect(mended(rule, { currency: 'USD' })).toMatchObject({ changed: false })
  })

  test('does not guess in what currency bonus amounts are', () => {
    const of = { ...event, bonus_earned_minor: 100 }
    const silent = parseRule({ accept_currency: { currency: 'EUR', rate: '2' } })
    expect(mend(of, silent, programme)).toMatchObject({ kind: 'unfit', detail: expect.stringContaining('bonus') })
    const told = (bonus: string) => parseRule({ accept_currency: { currency: 'EUR', rate: '2', bonus } })
    expect(mended(told('keep'), of).event.bonus_earned_minor).toBe(100)
    expect(mended(told('convert'), of).event.bonus_earned_minor).toBe(200)
  })

  test.each([
    [{}, 'says nothing'],
    [{ set: {} }, 'names no field'],
    [{ map_client: {} }, 'names no client'],
    [{ set: { transaction_id: 'x' } }, 'set: transaction_id may not be changed'],
    [{ set: { client_id: 'x' } }, 'client_id is not set but mapped'],
    [{ set: { source: 'x' } }, 'source may not be changed'],
    [{ set: { batch_id: null } }, 'batch_id may not be changed'],
    [{ set: { toString: 1 } }, 'toString is no field'],
    [{ set: { amount_minor: 1.5 } }, 'amount_minor'],
    [{ set: { occurred_at: '2026-03-01 12:00' } }, 'occurred_at'],
    [{ accept_currency: { currency: 'EUR', rate: '0' } }, 'rate'],
    [{ accept_currency: { currency: 'EUR', rate: '1e3' } }, 'rate'],
    [{ accept_currency: { currency: 'XYZ1', rate: '1' } }, 'ISO 4217'],
    [{ set: { currency: 'RUB' }, accept_currency: { currency: 'EUR', rate: '1' } }, 'contradict'],
    [{ colour: 'red' }, 'colour'],
  ])('is refused with what is wrong: %j', (rule, fault) => {
    expect(() => parseRule(rule)).toThrow(
      expect.objectContaining({ code: 'rule_invalid', message: expect.stringContaining(fault) }),
    )
  })
})

test('what a rule may not set is told once, and not as a rule without fields', () => {
  const faults = [{ field: 'set', fault: expect.stringMatching(/^transaction_id may not be changed/) }]
  expect(() => parseRule({ set: { transaction_id: 'a' } })).toThrow(
    expect.objectContaining({ details: expect.objectContaining({ faults }) }),
  )
})

describe('an amount in another currency', () => {
  test.each([
    [1_000, 'EUR', 'RUB', '98.4', 98_400],
    [1_500, 'JPY', 'GBP', '0.0052', 780],
    [1_000, 'KWD', 'GBP', '2.5', 250],
    [1, 'EUR', 'GBP', '0.5', 1],
    [-1, 'EUR', 'GBP', '0.5', -1],
    [1, 'EUR', 'GBP', '0.499999999999', 0],
    [9_007_199_254_740_991, 'EUR', 'GBP', '1', 9_007_199_254_740_991],
    [0, 'EUR', 'GBP', '1.1', 0],
  ])('%i %s is in %s at %s: %i', (amount, from, to, rate, expected) => {
    expect(convertMinor(amount, from, to, parseRate(rate)!)).toBe(expected)
  })

  test('beyond what a transaction can hold is no number', () => {
    expect(convertMinor(9_007_199_254_740_991, 'EUR', 'RUB', parseRate('98')!)).toBeNaN()
  })
})
