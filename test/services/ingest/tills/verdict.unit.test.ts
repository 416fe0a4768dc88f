import { describe, expect, test } from 'vitest'
import type { TransactionRecorded } from '#schemas/events.ts'
import { judge } from '#services/ingest/tills/verdict.ts'
import { maxAmountMinor } from '#streams/domain/transaction.ts'
import { lineProfile, prepareText } from '../support/prepare.ts'
import { principalWith, tillSale } from './support.ts'

const programme = { currency: 'GBP' }
const pos = principalWith()
/** A system whose receipts have the numbers of their store and day. */
const keyed = principalWith({ system: 'tills', identity: ['store', 'day', 'receipt_number'] })

function verdict(changes: Record<string, unknown>, principal = pos) {
  return judge(tillSale(changes), principal, programme)
}

describe('an item that is accepted', () => {
  test('becomes an event with all its fields, in the name of its system', () => {
    const lines = [{ sku: 'A1', category: 'tea', quantity: 0.5, amount_minor: 1_250 }]
    const sent = {
      store_id: ' s1 ',
      terminal_id: '',
      receipt_number: '881',
      payment_method: 'card',
      items_count: 2,
      categories: ['tea'],
      lines,
      discount_minor: 100,
      bonus_earned_minor: 12,
      bonus_spent_minor: 5,
      attributes: { cashier: '7' },
    }
    expect(verdict(sent)).toEqual({
      ...sent,
      transaction_id: 'pos:i=t-1',
      client_id: 'c1',
      kind: 'SALE',
      occurred_at: Date.UTC(2011, 2, 1, 12, 30),
      amount_minor: 1_250,
      currency: 'GBP',
      source: 'pos:pos',
      store_id: 's1',
      terminal_id: null,
      original_transaction_id: null,
      batch_id: null,
      lines: [{ ...lines[0], description: null }],
    })
  })

  test.each([
    ['2011-03-01T15:30:00+03:00', Date.UTC(2011, 2, 1, 12, 30)],
    ['2011-03-01T12:30:00.250Z', Date.UTC(2011, 2, 1, 12, 30, 0, 250)],
    [Date.UTC(2011, 2, 1, 12, 30), Date.UTC(2011, 2, 1, 12, 30)],
  ])('may tell its time as %s', (occurred_at, ms) => {
    expect(verdict({ occurred_at })).toMatchObject({ occurred_at: ms })
  })

  test('may leave the amount out of a void', () => {
    expect(verdict({ kind: 'VOID', amount_minor: undefined, original_transaction_id: 't-0' })).toMatchObject({
      amount_minor: 0,
      original_transaction_id: 'pos:i=t-0',
    })
  })
})

describe('ids', () => {
  test.each([
    ['by the id that the till gave', pos, {}, 'pos:i=t-1'],
    ['by the id of the programme, given back', pos, { transaction_id: 'pos:i=t-1' }, 'pos:i=t-1'],
    ['of other characters', pos, { transaction_id: 'a:b%\n' }, 'pos:i=a%3Ab%25'],
    [
      'by the declared key',
      keyed,
      { transaction_id: undefined, store_id: '12', receipt_number: '881' },
      'tills:s=12:d=2011-03-01:r=881',
    ],
    ['by the id given, without a receipt number', keyed, {}, 'tills:i=t-1'],
  ])('%s', (_, principal, changes, id) => {
    expect(verdict(changes, principal)).toMatchObject({ transaction_id: id })
  })

  test('an original is named as it was sent: by id, or by the key of its receipt', () => {
    const refund = { kind: 'REFUND', transaction_id: undefined, store_id: '12', receipt_number: '900' }
    const original = (changes: Record<string, unknown>) => verdict({ ...refund, ...changes }, keyed)
    expect(original({ original_transaction_id: 'x' })).toMatchObject({ original_transaction_id: 'tills:i=x' })
    expect(original({ original_receipt: { receipt_number: '881', day: '2011-02-27' } })).toMatchObject({
      transaction_id: 'tills:s=12:d=2011-03-01:r=900:k=refund',
      original_transaction_id: 'tills:s=12:d=2011-02-27:r=881',
    })
    const ofRefund = { receipt_number: '881', day: '2011-02-27', store_id: '13', kind: 'REFUND' }
    expect(original({ kind: 'VOID', amount_minor: 0, original_receipt: ofRefund })).toMatchObject({
      original_transaction_id: 'tills:s=13:d=2011-02-27:r=881:k=refund',
    })
  })

  test('of a receipt are those that a file of the same system gives it', async () => {
    const profile = lineProfile()
    const file = await prepareText(
      'receipt,client,time,price,quantity,sku\n881,c1,2011-03-01 12:30,1.25,10,A1\nC882,c1,2011-03-01 12:30,1.25,-10,A1\n',
      profile,
    )
    const { name: system, identity, numbers_cover_kinds: numbersCoverKinds } = profile.system
    const till = principalWith({ system, identity, numbersCoverKinds })
    const sent = { transaction_id: undefined, receipt_number: '881' }
    const events = [verdict(sent, till), verdict({ ...sent, kind: 'REFUND', receipt_number: 'C882' }, till)]
    expect(events.map((event) => (event as TransactionRecorded).transaction_id)).toEqual(
      file.published.map((event) => event.transaction_id).sort(),
    )
  })
})

describe('an item is rejected with code, field and sentence', () => {
  test.each<[string, Record<string, unknown>, string, string | null]>([
    ['without client', { client_id: undefined }, 'missing_field', 'client_id'],
    ['with a number for a client', { client_id: 17 }, 'bad_field', 'client_id'],
    ['with half a character', { client_id: '\ud800' }, 'bad_field', 'client_id'],
    ['with U+0000', { store_id: 'a\0' }, 'bad_field', 'store_id'],
    ['with a field that there is not', { discont_minor: 1 }, 'unknown_field', 'discont_minor'],
    ['with a field of a line that there is not', lineWith({ price: 1 }), 'unknown_field', 'lines.0.price'],
    ['with a line without amount', lineWith({ amount_minor: undefined }), 'missing_field', 'lines.0.amount_minor'],
    ['with a text in a line', lineWith({ quantity: '1' }), 'bad_field', 'lines.0.quantity'],
    ['of another kind', { kind: 'sale' }, 'unknown_kind', 'kind'],
    ['with a local time', { occurred_at: '2011-03-01T12:30:00' }, 'bad_date', 'occurred_at'],
    ['with a date that is none', { occurred_at: '2011-02-30T12:30:00Z' }, 'bad_date', 'occurred_at'],
    ['with epoch seconds', { occurred_at: 1_298_980_000 }, 'invalid', 'occurred_at'],
    ['with a fraction of a minor unit', { amount_minor: 12.5 }, 'bad_amount', 'amount_minor'],
    ['with an amount in quotes', { amount_minor: '1250' }, 'bad_amount', 'amount_minor'],
    ['without amount', { amount_minor: undefined }, 'missing_field', 'amount_minor'],
    ['with a negative amount', { amount_minor: -1 }, 'invalid', 'amount_minor'],
    ['with too large an amount', { amount_minor: maxAmountMinor + 1 }, 'invalid', 'amount_minor'],
    ['with a negative bonus', { bonus_spent_minor: -1 }, 'invalid', 'bonus_spent_minor'],
    ['with an empty client', { client_id: '' }, 'invalid', 'client_id'],
    ['with too long an id', { transaction_id: 'x'.repeat(1_025) }, 'invalid', 'transaction_id'],
    ['that voids nothing', { kind: 'VOID', amount_minor: 0 }, 'invalid', 'original_transaction_id'],
    ['in another currency', { currency: 'EUR' }, 'wrong_currency', 'currency'],
    ['without id', { transaction_id: undefined, receipt_number: '881' }, 'missing_id', 'transaction_id'],
    [
      'with an original by a key that nobody declared',
      { original_receipt: { receipt_number: '1' } },
      'ambiguous_original',
      'original_receipt',
    ],
  ])('%s', (_, changes, code, field) => {
    expect(verdict(changes)).toEqual({ code, field, message: expect.stringMatching(/^\S.{8,}[^.]$/) })
  })

  test.each<[string, Record<string, unknown>, string, string]>([
    ['both identifies it', { receipt_number: '881', store_id: '12' }, 'ambiguous_id', 'transaction_id'],
    ['its key lacks the store', { transaction_id: undefined, receipt_number: '881' }, 'missing_id', 'store_id'],
    ['it has neither', { transaction_id: undefined }, 'missing_id', 'receipt_number'],
    [
      'the key of its original lacks the day',
      { original_receipt: { receipt_number: '1', store_id: '1' } },
      'missing_id',
      'original_receipt.day',
    ],
    [
      'its original is named twice',
      { original_transaction_id: 'x', original_receipt: { receipt_number: '1', day: '2011-01-01' } },
      'ambiguous_original',
      'original_receipt',
    ],
  ])('of a system with a key, where %s', (_, changes, code, field) => {
    expect(verdict(changes, keyed)).toMatchObject({ code, field })
  })

  test.each([[null], [17], ['text'], [[]]])('that is %j', (item) => {
    expect(judge(item, pos, programme)).toEqual({
      code: 'bad_field',
      field: null,
      message: 'a transaction must be an object',
    })
  })
})

function lineWith(changes: Record<string, unknown>) {
  return { lines: [{ sku: 'A', quantity: 1, amount_minor: 1, ...changes }] }
}
