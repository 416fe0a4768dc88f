import { z } from '@hono/zod-openapi'
import { plainItem } from './plain-item.ts'
import type { Rejection } from './rejection.ts'

/** One transaction as a till sends it: the fields of TransactionRecorded, without those that the door fills in. */

const largestInt = 2_147_483_647

export const text = z
  .string({ error: 'must be a text' })
  .refine((value) => value.isWellFormed() && !value.includes('\0'), 'holds a character that no store keeps')
export const whole = z.int({ error: 'must be a whole number, not quoted, below 2^53' })
export const optionalText = text.nullish()

const line = z.strictObject(
  {
    sku: text,
    description: optionalText,
    category: optionalText,
    quantity: z.number({ error: 'must be a number, not quoted' }).describe('pieces, or kilograms'),
    amount_minor: whole.describe('sum of the line, magnitude'),
  },
  { error: 'must be an object' },
)

const originalReceipt = z
  .strictObject(
    {
      receipt_number: text,
      store_id: optionalText.describe('that of the transaction itself where left out'),
      terminal_id: optionalText.describe('that of the transaction itself where left out'),
      day: z.iso.date({ error: 'must be a date such as 2026-03-01' }).optional().describe('date on the receipt'),
      kind: z
        .enum(['SALE', 'REFUND'], { error: 'must be SALE or REFUND' })
        .default('SALE')
        .describe('of what is voided'),
    },
    { error: 'must be an object' },
  )
  .describe('the original by the key of its receipt, where the system declares one')

export const when = z
  .union([whole, z.iso.datetime({ offset: true })], {
    error:
      'must be ISO 8601 with seconds and zone, such as 2026-03-01T12:30:00+03:00, or epoch milliseconds as a number',
  })
  .describe('business time: ISO 8601 with seconds and zone, or epoch milliseconds')

export const tillTransaction = z
  .strictObject(
    {
      transaction_id: optionalText.describe(
        'id within the system; needed unless the system declares a key of its receipts',
      ),
      client_id: text,
      kind: z.enum(['SALE', 'REFUND', 'VOID'], { error: 'must be SALE, REFUND or VOID' }),
      occurred_at: when,
      amount_minor: whole.optional().describe('magnitude in minor units (kopecks, pence); may be left out of a VOID'),
      currency: text.describe('ISO 4217; the currency of the programme'),
      store_id: optionalText,
      terminal_id: optionalText,
      receipt_number: optionalText,
      original_transaction_id: optionalText.describe('id that the original was sent with'),
      original_receipt: originalReceipt.nullish(),
      payment_method: optionalText,
      items_count: z.int({ error: 'must be a whole number' }).min(0, 'is negative').max(largestInt).optional(),
      categories: z.array(text, { error: 'must be a list of texts' }).optional(),
      lines: z.array(line, { error: 'must be a list of lines' }).optional(),
      discount_minor: whole.optional(),
      bonus_earned_minor: whole.optional(),
      bonus_spent_minor: whole.optional(),
      attributes: z
        .record(text, text, { error: 'must be an object of texts' })
        .optional()
        .describe('anything else the till knows'),
    },
    { error: 'a transaction must be an object' },
  )
  .openapi('TillTransaction')

export type TillTransaction = z.output<typeof tillTransaction>

/** The transaction, or the first thing that is wrong with its shape. */
export function readItem(input: unknown): TillTransaction | Rejection {
  const plain = plainItem(input)
  if (plain !== null) return plain
  const parsed = tillTransaction.safeParse(input)
  return parsed.success ? parsed.data : rejectionOf(parsed.error.issues[0]!, input)
}

/** The first thing that is wrong with the shape of an item. */
export function rejectionOf(issue: z.core.$ZodIssue, input: unknown): Rejection {
  const field = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    const unknown = [...issue.path, issue.keys[0]!].join('.')
    const message = `there is no field ${unknown}; what else is known goes into attributes, as texts`
    return { code: 'unknown_field', field: unknown, message }
  }
  if (field === '') return { code: 'bad_field', field: null, message: issue.message }
  if (valueAt(input, issue.path) === undefined) return { code: 'missing_field', field, message: `${field} is missing` }
  return { code: codes[field] ?? 'bad_field', field, message: `${field} ${issue.message}` }
}

const codes: Readonly<Record<string, Rejection['code']>> = {
  kind: 'unknown_kind',
  occurred_at: 'bad_date',
  amount_minor: 'bad_amount',
  discount_minor: 'bad_amount',
  bonus_earned_minor: 'bad_amount',
  bonus_spent_minor: 'bad_amount',
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input
  for (const key of path) value = (value as Record<PropertyKey, unknown> | null)?.[key]
  return value
}
