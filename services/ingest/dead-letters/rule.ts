import { z } from '@hono/zod-openapi'
import { eventNamespace } from '#schemas/published.ts'
import type { Registry } from '#schemas/registry.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { isCurrency } from '../parse/currency.ts'
import { parseRate } from './convert.ts'

/** How letters are mended before they are replayed. A rule says everything itself: it never guesses. */

const text = z
  .string()
  .refine((value) => value.isWellFormed() && !value.includes('\0'), 'holds a character that no store keeps')
const nullableText = text.nullable()
const whole = z.int()

const line = z.strictObject({
  sku: text,
  description: nullableText.default(null),
  category: nullableText.default(null),
  quantity: z.number(),
  amount_minor: whole,
})

const when = z
  .union([whole, z.iso.datetime({ offset: true })])
  .describe('ISO 8601 with seconds and zone, or epoch milliseconds')

/**
 * Fields that a rule may set. Not the id, which keeps a transaction from counting twice; not where it came from; not the
 * client, who is mapped.
 */
const patch = z
  .strictObject(
    {
      kind: z.enum(['SALE', 'REFUND', 'VOID']),
      occurred_at: when,
      amount_minor: whole,
      currency: text,
      store_id: nullableText,
      terminal_id: nullableText,
      receipt_number: nullableText,
      original_transaction_id: nullableText,
      payment_method: nullableText,
      items_count: whole.min(0).max(2_147_483_647),
      categories: z.array(text),
      lines: z.array(line),
      discount_minor: whole,
      bonus_earned_minor: whole,
      bonus_spent_minor: whole,
      attributes: z.record(text, text),
    },
    { error: (issue) => (issue.code === 'unrecognized_keys' ? issue.keys.map(notSet).join('; ') : undefined) },
  )
  .partial()
  .refine((fields) => Object.keys(fields).length > 0, {
    error: 'names no field',
    when: ({ issues }) => issues.length === 0,
  })

const fixed: Readonly<Record<string, string>> = {
  transaction_id: 'may not be changed: it keeps a transaction from counting twice',
  source: 'may not be changed: it says where the transaction came from',
  batch_id: 'may not be changed: it says where the transaction came from',
  client_id: 'is not set but mapped, by map_client (--map-client)',
}

function notSet(field: string): string {
  return `${field} ${Object.hasOwn(fixed, field) ? fixed[field] : 'is no field that may be set'}`
}

const acceptedCurrency = z.strictObject({
  currency: z.string().refine(isCurrency, 'is no ISO 4217 code').describe('of the letters'),
  rate: z
    .string()
    .refine((rate) => parseRate(rate) !== null, 'must be a decimal number above 0, as a text such as "98.4"')
    .describe("units of the programme's currency for one unit of theirs"),
  bonus: z
    .enum(['convert', 'keep'])
    .optional()
    .describe('whether bonus amounts are in that currency too; needed where a letter has any'),
})

export const mendingRule = z
  .strictObject({
    set: patch.describe('fields and their new values'),
    map_client: z
      .record(text, text.min(1))
      .refine((map) => Object.keys(map).length > 0, 'names no client')
      .describe('client ids, old to new; the key of the record follows'),
    schema_id: z.int().min(0).max(0xffff_ffff).describe('the schema that the values were really written with'),
    accept_currency: acceptedCurrency.describe(
      "re-expresses amounts in the programme's currency by a rate; what they were is noted in the attributes",
    ),
    rekey: z.literal(true).describe('the client of the transaction becomes the key of the record'),
  })
  .partial()
  .refine((rule) => Object.keys(rule).length > 0, 'says nothing')
  .refine(
    ({ set, accept_currency: accepted }) => set?.currency === undefined || accepted === undefined,
    'set.currency and accept_currency contradict each other',
  )
  .openapi('DeadLetterRule')

export type MendingRule = z.output<typeof mendingRule>

/** A rule from JSON that a person wrote. Errors: `rule_invalid`, with every fault. */
export function parseRule(input: unknown): MendingRule {
  const parsed = mendingRule.safeParse(input)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map(({ path, message }) => ({ field: path.join('.'), fault: message }))
  const list = faults.map(({ field, fault }) => (field === '' ? `the rule ${fault}` : `${field}: ${fault}`)).join('; ')
  throw new LoyaltyError('rule_invalid', list, { details: { faults } })
}

/**
 * What of a rule depends on the programme and the registry. Errors: `rule_invalid`; `registry_unavailable` (retriable).
 */
export async function checkRule(
  rule: MendingRule,
  programme: { readonly currency: string },
  registry: Registry,
): Promise<void> {
  const { accept_currency: accepted, schema_id: schemaId } = rule
  if (accepted?.currency === programme.currency)
    throw invalid('accept_currency.currency', `${programme.currency} is the programme's own currency`)
  if (schemaId === undefined) return
  const type = await registry.schemaById(schemaId)
  if (type === null) throw invalid('schema_id', `the registry has no schema ${schemaId}`)
  if (type.name !== `${eventNamespace}.TransactionRecorded`)
    throw invalid('schema_id', `schema ${schemaId} is one of ${type.name ?? type.typeName}, not of TransactionRecorded`)
}

function invalid(field: string, fault: string): LoyaltyError {
  return new LoyaltyError('rule_invalid', `${field}: ${fault}`, { details: { faults: [{ field, fault }] } })
}
