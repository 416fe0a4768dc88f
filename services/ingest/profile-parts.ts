import { z } from 'zod'
import { isEncoding } from './files/text.ts'
import { isDateFormat } from './parse/date-format.ts'
import { isTimeZone } from './parse/zone.ts'

/** What file profiles of every kind say in the same way. */

export const profileName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/)
export const timeZone = z.string().refine(isTimeZone, 'must be an IANA time zone, such as Europe/London')

/** A column by the name in the header, or by its index from 0. */
export const column = z.union([z.string().min(1), z.number().int().nonnegative()])

const encoding = z
  .string()
  .refine(isEncoding, 'must be auto or the name of an encoding, such as utf-8, utf-16, windows-1251, koi8-r')
  .default('auto')
  .describe('auto: by its mark, or by its bytes')
const skip_rows = z
  .number()
  .int()
  .positive()
  .max(100)
  .optional()
  .describe('rows above the header, or above the data where there is none, that are left out; empty ones do not count')
const header = z.boolean().default(true).describe('true where the first line has no data')

export const fileFormat = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('csv'),
    delimiter: z
      .union([z.literal('auto'), z.string().length(1)])
      .default('auto')
      .describe('auto: the one of , ; tab | that divides the first rows evenly'),
    quote: z.string().length(1).nullable().default('"'),
    sheet: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe('of a workbook (.xlsx): the sheet to read; else the first visible one with data'),
    encoding,
    header,
    skip_rows,
  }),
  z.strictObject({
    kind: z.literal('fixed'),
    fields: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          from: z.number().int().nonnegative().describe('characters before it in the line'),
          width: z.number().int().positive().describe('characters that it has'),
        }),
      )
      .min(1)
      .max(1_000)
      .describe('columns by their place in the line; their names are used in columns'),
    encoding,
    header,
    skip_rows,
  }),
  z.strictObject({ kind: z.literal('whitespace'), encoding, header, skip_rows }),
])

export const clientIdRule = z
  .strictObject({ written_as: z.enum(['text', 'integer']).default('text') })
  .default({ written_as: 'text' })
  .describe('integer: digits only, and a spreadsheet’s tail .0 is taken off')

export const numberFormat = z
  .strictObject({
    decimal: z.enum(['.', ',']).default('.'),
    thousands: z
      .string()
      .max(8)
      .regex(/^[^\d+-]*$/, 'must be marks, not digits or signs')
      .default('')
      .describe('marks between groups of three digits; a space stands for every kind of space'),
  })
  .refine(({ decimal, thousands }) => !thousands.includes(decimal), 'a mark cannot be both')
  .default({ decimal: '.', thousands: '' })

export const dateFormats = z
  .array(z.string().min(3).refine(isDateFormat, 'is no date format'))
  .min(1)
  .describe(
    'iso, excel, excel-1904, or tokens yyyy (yy: 2000 to 2099) MM dd M d HH H hh h mm ss SSS a Z with [optional parts]; tried in order',
  )
