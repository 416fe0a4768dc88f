import fc from 'fast-check'
import { expect, test } from 'vitest'
import { tillItemOf } from '#services/cli/generator/till-item.ts'
import { TransactionGenerator } from '#services/cli/generator/transactions.ts'
import { tillTransaction } from '#services/ingest/tills/item.ts'
import { plainItem } from '#services/ingest/tills/plain-item.ts'

const mostly = <T>(right: fc.Arbitrary<T>, strange: fc.Arbitrary<T>) =>
  fc.oneof({ arbitrary: right, weight: 30 }, { arbitrary: strange, weight: 1 })
const text = mostly(
  fc.constantFrom('c1', '', ' ', 'Привет', '🧾'),
  fc.oneof(fc.constantFrom('a\0b', '\ud800'), fc.string({ unit: 'binary' })),
)
const number = mostly(
  fc.integer() as fc.Arbitrary<number>,
  fc.constantFrom(0, -1, 1.5, 2 ** 53, -(2 ** 53) + 1, Number.POSITIVE_INFINITY, Number.NaN, 2_147_483_648),
)
const time = fc.oneof(
  { arbitrary: fc.constantFrom('2024-12-31T10:00:00Z', '2024-05-05T23:59:59.123+03:00', 1_700_000_000_000), weight: 4 },
  fc.constantFrom(
    ...['2024-02-29', '2023-02-29', '2024-04-31', '2024-12-31', '2024-13-01', '0000-01-01'].map(
      (day) => `${day}T10:00:00Z`,
    ),
    ...['T24:00:00Z', 'T23:59:60Z', 'T23:59:59.123456789Z', 'T10:00:00+24:00', 'T10:00:00+03:00', 'T10:00:00+0300'].map(
      (clock) => `2024-05-05${clock}`,
    ),
    ...['2024-05-05', '2024-05-05T10:00Z', '2024-05-05T10:00:00', '2024-05-05t10:00:00z', '2024-05-05T10:00:00.Z'],
  ),
  number,
)
const scalar = fc.oneof(text, number, time, fc.constantFrom(null, undefined, true))
const often = <T>(right: fc.Arbitrary<T>) => mostly<unknown>(right, scalar)
const kind = fc.constantFrom('SALE', 'REFUND', 'VOID')
const record = (
  fields: Record<string, fc.Arbitrary<unknown>>,
  required: string[],
  strange: Record<string, unknown> = {},
) =>
  fc
    .tuple(
      fc.record(Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, often(value)])), {
        requiredKeys: required,
      }),
      mostly(fc.constant({}), fc.constant(strange)),
    )
    // As it comes from JSON: with the prototype of objects, whatever the keys are called.
    .map(([known, more]) => ({ ...known, ...more }))
const lines = fc.array(
  often(
    record(
      { sku: text, description: text, category: text, quantity: number, amount_minor: fc.integer() },
      ['sku', 'quantity', 'amount_minor'],
      { price: 1 },
    ),
  ),
  { maxLength: 3 },
)
const original = record(
  { receipt_number: text, store_id: text, terminal_id: text, kind: fc.constantFrom('SALE', 'REFUND') },
  ['receipt_number'],
  { kind: 'VOID', day: '2024-02-30' },
)
const item = record(
  {
    ...Object.fromEntries(
      ['transaction_id', 'client_id', 'currency', 'store_id', 'terminal_id', 'receipt_number', 'payment_method'].map(
        (name) => [name, text],
      ),
    ),
    ...{ kind, occurred_at: time, original_transaction_id: text, original_receipt: original, lines },
    ...Object.fromEntries(
      ['amount_minor', 'items_count', 'discount_minor', 'bonus_earned_minor', 'bonus_spent_minor'].map((name) => [
        name,
        fc.nat(),
      ]),
    ),
    categories: fc.array(often(text), { maxLength: 3 }),
    attributes: fc.dictionary(text, often(text), { maxKeys: 3, noNullPrototype: true }),
  },
  ['client_id', 'kind', 'occurred_at', 'currency'],
  { tillNumber: 7 },
)

test('what the quick look takes, the schema takes with the same outcome', () => {
  let taken = 0
  fc.assert(
    fc.property(fc.oneof({ arbitrary: item, weight: 20 }, { arbitrary: scalar, weight: 1 }), (input) => {
      const found = plainItem(input)
      if (found === null) return
      taken++
      expect(found).toEqual(tillTransaction.parse(input))
    }),
    { numRuns: 4_000 },
  )
  expect(taken).toBeGreaterThan(200)
})

test('it takes what tills send, also refunds and voids', () => {
  for (const event of new TransactionGenerator({ events: 2_000, clients: 50, refundShare: 0.2, voidShare: 0.1 })) {
    // Leap days are left to the schema, which knows the calendar.
    if (new Date(event.occurred_at).toISOString().includes('-02-29T')) continue
    const sent = JSON.parse(JSON.stringify(tillItemOf(event))) as unknown
    expect(plainItem(sent)).not.toBeNull()
  }
})

test('an own key __proto__ among the attributes is left to the schema', () => {
  const text = '{"client_id":"c","kind":"SALE","occurred_at":1,"currency":"RUB","attributes":{"__proto__":"x"}}'
  expect(plainItem(JSON.parse(text))).toBeNull()
})
