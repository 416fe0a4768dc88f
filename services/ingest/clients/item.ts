import { z } from '@hono/zod-openapi'
import type { ClientProfileChanged } from '#schemas/events.ts'
import { dayOfIso } from '#streams/domain/calendar.ts'
import { earliestMs, latestMs, maxClientIdBytes } from '#streams/domain/transaction.ts'
import { rejectionOf, text, when, whole } from '../tills/item.ts'
import type { Rejection } from '../tills/rejection.ts'

/** Master data of one client as a source sends it: the fields of ClientProfileChanged, without those that the door fills in. */

const longestText = 1_000
const shortText = text.max(longestText, `is longer than ${longestText} characters`).nullish()

const earliestDay = dayOfIso('1800-01-01')
const latestDay = dayOfIso('2200-01-01')

const day = z
  .union([z.iso.date(), z.int()], { error: 'must be a date such as 1980-03-01' })
  .transform((value) => (typeof value === 'string' ? dayOfIso(value) : value))
  .refine((value) => value >= earliestDay && value < latestDay, 'is no date between 1800 and 2200')
  .nullish()
  .describe('ISO date; as a number: days since 1970-01-01')

const instant = when
  .transform((value) => (typeof value === 'string' ? Date.parse(value) : value))
  .refine((value) => value >= earliestMs && value < latestMs, 'is out of range')
  .nullish()

export const clientProfile = z
  .strictObject(
    {
      client_id: text,
      name: shortText,
      email: z.email({ error: 'must be an e-mail address' }).max(320, 'is longer than 320 characters').nullish(),
      phone: shortText.describe('E.164 (+79161234567) where known'),
      gender: shortText.describe('as the source names it'),
      birth_date: day,
      registered_at: instant,
      city: shortText,
      communication_preferences: z
        .record(text, z.boolean({ error: 'must be true or false' }), { error: 'must be an object of true and false' })
        .nullish()
        .describe('consent by channel, such as {"email": true, "sms": false}'),
      opening_bonus_minor: whole.nullish().describe('bonus balance at opening_bonus_at'),
      opening_bonus_at: instant.describe('needed with opening_bonus_minor'),
      attributes: z.record(text, text, { error: 'must be an object of texts' }).nullish().describe('anything else'),
    },
    { error: 'a client must be an object' },
  )
  .openapi('ClientProfile')

/** The event that an item becomes, or why it becomes none. `source`: in whose name it comes. */
export function profileOf(input: unknown, source: string): ClientProfileChanged | Rejection {
  const parsed = clientProfile.safeParse(input)
  if (!parsed.success) return rejectionOf(parsed.error.issues[0]!, input)
  const { data } = parsed
  const clientId = data.client_id.trim()
  if (clientId === '') return { code: 'missing_field', field: 'client_id', message: 'client_id is empty' }
  if (Buffer.byteLength(clientId) > maxClientIdBytes)
    return { code: 'bad_field', field: 'client_id', message: `client_id is longer than ${maxClientIdBytes} bytes` }
  const opening = data.opening_bonus_minor ?? 0
  if (opening !== 0 && data.opening_bonus_at == null)
    return {
      code: 'missing_field',
      field: 'opening_bonus_at',
      message: 'opening_bonus_at is missing: a balance without its moment cannot be gone on with',
    }
  return {
    client_id: clientId,
    name: textOf(data.name),
    email: textOf(data.email),
    phone: textOf(data.phone),
    gender: textOf(data.gender),
    birth_date: data.birth_date ?? null,
    registered_at: data.registered_at ?? null,
    city: textOf(data.city),
    communication_preferences: data.communication_preferences ?? {},
    opening_bonus_minor: opening,
    opening_bonus_at: data.opening_bonus_at ?? null,
    source,
    attributes: data.attributes ?? {},
  }
}

function textOf(value: string | null | undefined): string | null {
  return value?.trim() || null
}
