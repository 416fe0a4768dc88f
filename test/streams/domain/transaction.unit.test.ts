import { describe, expect, it } from 'vitest'
import { type Hash64, hex64 } from '#streams/domain/hash.ts'
import { contentHash, earliestMs, Kind, latestMs, type Transaction, validate } from '#streams/domain/transaction.ts'
import { base } from './scenario.ts'

const programme = { currency: 'RUB' }
const line = { sku: 'tea', description: 'Tea', category: 'food', quantity: 1.5, amountMinor: 100 }

describe('validate', () => {
  const voided = { kind: Kind.void, amountMinor: 0, originalTransactionId: 't0' } as const
  it.each<[string, Partial<Transaction>]>([
    ['a sale', {}],
    ['the largest amount', { amountMinor: 2 ** 52 }],
    ['a client id of 256 bytes', { clientId: 'я'.repeat(128) }],
    ['a void of something', voided],
    ['a refund without original', { kind: Kind.refund }],
    ['a free sale', { amountMinor: 0 }],
    ['the first and the last moment', { occurredAtMs: earliestMs }],
    ['weights and negative lines', { lines: [line, { ...line, quantity: -1, amountMinor: -5 }] }],
  ])('takes %s', (_, change) => {
    expect(validate({ ...base, ...change }, programme)).toBeNull()
  })

  it.each<[string, Partial<Transaction>, RegExp]>([
    ['an empty client id', { clientId: '' }, /client_id is empty/],
    ['a client id of 257 bytes', { clientId: `${'я'.repeat(128)}a` }, /256 bytes/],
    ['a client id of surrogate pairs that is too long', { clientId: '🧾'.repeat(65) }, /256 bytes/],
    ['an empty transaction id', { transactionId: '' }, /transaction_id is empty/],
    ['an endless transaction id', { transactionId: 'x'.repeat(1_025) }, /1024 bytes/],
    ['an empty original', { kind: Kind.refund, originalTransactionId: '' }, /leave it out/],
    ['an unknown kind', { kind: Kind.unknown }, /kind/],
    ['a void of nothing', { kind: Kind.void, amountMinor: 0 }, /needs original/],
    ['a void with an amount', { ...voided, amountMinor: 1 }, /VOID is not 0/],
    ['a negative amount', { amountMinor: -1 }, /amount_minor/],
    ['a fraction', { amountMinor: 0.5 }, /amount_minor/],
    ['an amount above 2^52', { amountMinor: 2 ** 52 + 1 }, /amount_minor/],
    ['no number', { amountMinor: Number.NaN }, /amount_minor/],
    ['a negative discount', { discountMinor: -1 }, /discount_minor/],
    ['a bonus above 47 bits', { bonusEarnedMinor: 2 ** 47 }, /bonus_earned_minor/],
    ['a negative bonus spent', { bonusSpentMinor: -1 }, /bonus_spent_minor/],
    ['a till without a clock', { occurredAtMs: 0 }, /occurred_at/],
    ['a time after 2199', { occurredAtMs: latestMs }, /occurred_at/],
    ['no time', { occurredAtMs: Number.NaN }, /occurred_at/],
    ['a line without a weight', { lines: [{ ...line, quantity: Number.NaN }] }, /quantity/],
    ['a line with a broken amount', { lines: [{ ...line, amountMinor: 0.1 }] }, /line/],
  ])('refuses %s', (_, change, detail) => {
    expect(validate({ ...base, ...change }, programme)).toEqual({
      reason: 'invalid',
      detail: expect.stringMatching(detail),
    })
  })

  it('names a wrong currency as such, but only where nothing worse is wrong', () => {
    expect(validate({ ...base, currency: 'GBP' }, programme)?.reason).toBe('wrong_currency')
    expect(validate({ ...base, currency: 'GBP', amountMinor: -1 }, programme)?.reason).toBe('invalid')
  })
})

describe('contentHash', () => {
  const of = (transaction: Transaction) => {
    const hash: Hash64 = { hi: 0, lo: 0 }
    contentHash(transaction, hash)
    return hex64(hash)
  }
  const full: Transaction = { ...base, lines: [line], storeId: 's', originalTransactionId: 'o' }

  it.each<[string, Partial<Transaction>]>([
    ['client', { clientId: 'other' }],
    ['kind', { kind: Kind.refund }],
    ['time', { occurredAtMs: base.occurredAtMs + 1 }],
    ['amount', { amountMinor: 101 }],
    ['currency', { currency: 'GBP' }],
    ['original', { originalTransactionId: null }],
    ['store', { storeId: null }],
    ['discount', { discountMinor: 1 }],
    ['bonus earned', { bonusEarnedMinor: 1 }],
    ['bonus spent', { bonusSpentMinor: 1 }],
    ['lines', { lines: [line, line] }],
    ['sku', { lines: [{ ...line, sku: 'coffee' }] }],
    ['description', { lines: [{ ...line, description: null }] }],
    ['category', { lines: [{ ...line, category: null }] }],
    ['quantity', { lines: [{ ...line, quantity: 1.25 }] }],
    ['amount of a line', { lines: [{ ...line, amountMinor: 99 }] }],
  ])('changes with the %s', (_, change) => {
    expect(of({ ...full, ...change })).not.toBe(of(full))
  })

  it('does not depend on the id', () => {
    expect(of({ ...full, transactionId: 'other' })).toBe(of(full))
  })
})
