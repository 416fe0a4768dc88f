import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { LoyaltyError } from '#streams/core/error.ts'
import { type ClientsProfile, clientsProfileSchema, isOfClients } from './clients/profile.ts'
import { isCurrency } from './parse/currency.ts'
import { optionalFields } from './profile-fields.ts'
import { clientIdRule, column, dateFormats, fileFormat, numberFormat, profileName, timeZone } from './profile-parts.ts'

/**
 * A file profile says, as data, how the files of one source are read: which system the receipts come from and what
 * identifies them, how columns map to a transaction, and what to do about missing values. A new source is a new file in
 * profiles/, not new code.
 */

const missingPolicy = z
  .union([z.enum(['reject', 'empty']), z.strictObject({ default: z.string().min(1) })])
  .describe('reject: the row gets a verdict; empty: the field stays empty; default: the given text is used')

const kindMark = z.strictObject({
  receipt_prefix: z.string().min(1).optional().describe('receipt numbers of this kind start so'),
  values: z.array(z.string()).min(1).optional().describe('values of the kind column that mean this kind'),
})

export const profileSchema = z
  .strictObject({
    name: profileName,
    title: z.string().optional(),
    system: z.strictObject({
      name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
      identity: z
        .array(z.enum(['store', 'terminal', 'day', 'receipt_number']))
        .describe('what identifies a receipt of this system; empty where receipts have no number'),
      numbers_cover_kinds: z
        .boolean()
        .default(false)
        .describe('true where no number serves for two kinds, as when cancellations have numbers of their own'),
    }),
    grain: z.enum(['receipt', 'line']),
    time_zone: timeZone,
    currency: z.string().refine(isCurrency, 'must be an ISO 4217 code in capitals, such as GBP'),
    clock: z.enum(['system', 'events']).optional().describe('clock of a programme that begins with such a file'),
    format: fileFormat,
    columns: z.strictObject({
      client: column,
      occurred_at: column,
      time: column.optional().describe('time of day, where occurred_at has none; read behind it, after a space'),
      receipt_number: column.optional(),
      amount: column.optional().describe('sum of the row'),
      unit_price: column.optional().describe('times quantity gives the sum of the row'),
      quantity: column.optional(),
      sku: column.optional(),
      description: column.optional(),
      category: column.optional(),
      store: column.optional(),
      terminal: column.optional(),
      payment: column.optional(),
      kind: column.optional(),
      original: column.optional().describe('receipt number of what is refunded or voided'),
      currency: column.optional(),
      attributes: z.record(z.string().min(1), column).default({}),
    }),
    client_id: clientIdRule,
    kinds: z
      .strictObject({
        sale: kindMark.optional(),
        refund: kindMark.optional(),
        void: kindMark.optional(),
        negative_is_refund: z.boolean().default(false).describe('a negative sum without a mark is a refund'),
        refund_sign: z.enum(['negative', 'positive']).default('negative').describe('how sums of refunds are written'),
      })
      .default({ negative_is_refund: false, refund_sign: 'negative' }),
    numbers: numberFormat,
    dates: z.strictObject({
      formats: dateFormats,
      future_days: z
        .number()
        .nonnegative()
        .max(36_500)
        .optional()
        .describe('days by which a row may be dated after its upload, as of a till in another time zone; default 1'),
    }),
    outliers: z
      .union([
        z.literal('off'),
        z
          .strictObject({
            max_amount: z.number().positive().optional().describe('in the currency, not its minor unit'),
            mads: z.number().min(3).optional().describe('median absolute deviations above the median of the file'),
          })
          .refine(({ max_amount, mads }) => max_amount !== undefined || mads !== undefined, 'give max_amount or mads'),
      ])
      .optional()
      .describe('receipts above any of these are taken in and flagged; default { "mads": 100 }'),
    identical_rows: z
      .enum(['keep', 'drop'])
      .default('keep')
      .describe('rows that are equal in every column that is read: keep them all, or drop all but the first'),
    missing: z.partialRecord(z.enum(['client', ...optionalFields]), missingPolicy).default({}),
  })
  .check((context) => {
    for (const message of faultsBetweenFields(context.value))
      context.issues.push({ code: 'custom', message, input: context.value })
  })

/** How files of transactions are read. */
export type FileProfile = z.output<typeof profileSchema>

/** Of transactions, or of the master data of clients. */
export type AnyProfile = FileProfile | ClientsProfile

function faultsBetweenFields(profile: {
  columns: Record<string, unknown>
  system: { identity: readonly string[] }
  grain: 'receipt' | 'line'
  kinds: { sale?: unknown; refund?: unknown; void?: unknown }
  missing: Record<string, unknown>
}): string[] {
  const { columns, system, grain } = profile
  const faults: string[] = []
  if ((columns.amount === undefined) === (columns.unit_price === undefined))
    faults.push('columns: give either amount or unit_price')
  if (columns.unit_price !== undefined && columns.quantity === undefined)
    faults.push('columns: unit_price needs quantity')
  for (const part of system.identity)
    if (part !== 'day' && columns[part] === undefined)
      faults.push(`system.identity names ${part}, but columns has no ${part}`)
  if (!system.identity.includes('receipt_number') && system.identity.length > 0)
    faults.push('system.identity needs receipt_number, or is empty')
  if (!system.identity.includes('receipt_number') && grain === 'line')
    faults.push('grain line needs a receipt number in system.identity')
  if (
    columns.original !== undefined &&
    (system.identity.includes('day') || !system.identity.includes('receipt_number'))
  )
    faults.push('columns.original needs a system.identity with receipt_number and without day')
  if (profile.missing.client === 'empty') faults.push('missing.client cannot be empty')
  return faults
}

/** Errors: `profile_invalid` (details.faults: one sentence per fault, with its path). */
export function parseAnyProfile(value: unknown, origin: string): AnyProfile {
  const isOfClients = typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'clients'
  return isOfClients ? parsed(clientsProfileSchema, value, origin) : parsed(profileSchema, value, origin)
}

/** As `parseAnyProfile`, of transactions only. */
export function parseProfile(value: unknown, origin: string): FileProfile {
  return ofTransactions(parseAnyProfile(value, origin))
}

/** Errors: `profile_invalid` for a profile of clients. */
export function ofTransactions(profile: AnyProfile): FileProfile {
  if (!isOfClients(profile)) return profile
  const fault = 'kind: it is for files of clients; name one for files of transactions'
  throw new LoyaltyError('profile_invalid', `file profile ${profile.name} does not fit here: ${fault}`, {
    details: { faults: [fault] },
  })
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, origin: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const faults = result.error.issues.map((issue) =>
    issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`,
  )
  throw new LoyaltyError('profile_invalid', `file profile ${origin} is invalid: ${faults.join('; ')}`, {
    details: { faults },
  })
}

const shippedDirectory = fileURLToPath(new URL('profiles/', import.meta.url))

/** Names of the profiles in `directory`, sorted. */
export function listProfiles(directory = shippedDirectory): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort()
}

/** Errors: `profile_unknown` (the message lists the known names), `profile_invalid`. */
export function loadAnyProfile(name: string, directory = shippedDirectory): AnyProfile {
  return parseAnyProfile(readProfile(name, directory), name)
}

/** As `loadAnyProfile`, of transactions only. */
export function loadProfile(name: string, directory = shippedDirectory): FileProfile {
  return parseProfile(readProfile(name, directory), name)
}

function readProfile(name: string, directory: string): unknown {
  const known = listProfiles(directory)
  if (!known.includes(name))
    throw new LoyaltyError('profile_unknown', `there is no file profile "${name}"; known: ${known.join(', ')}`, {
      details: { name, known },
    })
  const text = readFileSync(`${directory}/${name}.json`, 'utf8')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new LoyaltyError('profile_invalid', `file profile ${name} is not JSON`, { cause })
  }
}
