import { z } from 'zod'
import { clientIdRule, column, dateFormats, fileFormat, numberFormat, profileName, timeZone } from '../profile-parts.ts'

/**
 * How files of clients' master data are read, as data: one row is the whole of what is known of a client. Told from the
 * profiles of transactions by its `kind`.
 */

const words = z.array(z.string().trim().min(1).toLowerCase()).min(1)

export const clientsProfileSchema = z
  .strictObject({
    kind: z.literal('clients'),
    name: profileName,
    title: z.string().optional(),
    time_zone: timeZone.describe('of times without a zone, and of bonus_at'),
    format: fileFormat,
    columns: z.strictObject({
      client: column,
      name: column.optional(),
      email: column.optional(),
      phone: column.optional(),
      gender: column.optional(),
      birth_date: column.optional(),
      registered_at: column.optional(),
      city: column.optional(),
      consent: z.record(z.string().min(1), column).default({}).describe('by channel, such as email, sms'),
      bonus: column.optional().describe('bonus balance, in the currency of the programme, not its minor unit'),
      bonus_at: column.optional().describe('when the bonus balance was that'),
      attributes: z.record(z.string().min(1), column).default({}),
    }),
    client_id: clientIdRule,
    numbers: numberFormat,
    dates: z.strictObject({ formats: dateFormats }),
    consent: z
      .strictObject({
        yes: words.default(['true', '1', 'да', 'yes']),
        no: words.default(['false', '0', 'нет', 'no']),
      })
      .default({ yes: ['true', '1', 'да', 'yes'], no: ['false', '0', 'нет', 'no'] })
      .describe('words in the columns of consent, in small or capital letters'),
    bonus_at: z.iso.date().optional().describe('the day at whose beginning all bonus balances of the file were that'),
  })
  .check((context) => {
    for (const message of faultsBetweenFields(context.value))
      context.issues.push({ code: 'custom', message, input: context.value })
  })

export type ClientsProfile = z.output<typeof clientsProfileSchema>

function faultsBetweenFields(profile: {
  columns: { bonus?: unknown; bonus_at?: unknown }
  bonus_at?: string | undefined
  dates: { formats: readonly string[] }
  consent: { yes: readonly string[]; no: readonly string[] }
}): string[] {
  const { columns, consent } = profile
  const moments = [columns.bonus_at, profile.bonus_at].filter((moment) => moment !== undefined).length
  const faults: string[] = []
  if (columns.bonus !== undefined && moments !== 1)
    faults.push('columns.bonus needs its moment: give either columns.bonus_at or bonus_at')
  if (columns.bonus === undefined && moments > 0) faults.push('bonus_at needs columns.bonus')
  if (profile.dates.formats.some((format) => /(?<!y)yy(?!y)/.test(format)))
    faults.push('dates.formats: years need four digits (yyyy), since dates of birth are of either century')
  for (const word of consent.yes) if (consent.no.includes(word)) faults.push(`consent: "${word}" cannot be both`)
  return faults
}

/** True for a profile of clients' master data, false for one of transactions. */
export function isOfClients<Other extends { readonly kinds: unknown }>(
  profile: ClientsProfile | Other,
): profile is ClientsProfile {
  return 'kind' in profile && profile.kind === 'clients'
}
