import { z } from '@hono/zod-openapi'
import { clientReasons } from './verdicts.ts'

const warning = z.object({
  code: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
})

export const clientVerdict = z.object({
  row: z.number().int().describe('from 1, without the header'),
  code: z.enum(clientReasons),
  field: z.string().nullable().describe('as the profile calls it'),
  value: z.null().describe('never shown: it is personal data'),
  sentence: z.object({ en: z.string(), ru: z.string() }),
})

const counts = {
  kind: z.literal('clients'),
  lines: z.number().int().describe('rows of the file, without the header'),
  rows: z.object({ accepted: z.number().int(), rejected: z.number().int() }).describe('sums to lines'),
  rejected: z.partialRecord(z.enum(clientReasons), z.number().int()).describe('rows by reason'),
  clients: z.number().int().describe('different clients of the accepted rows'),
}

export const clientsTotals = z.object({ ...counts, seconds: z.number() }).describe('of a file of clients')

export const clientsReport = z
  .object({
    ...counts,
    seconds: z.record(z.string(), z.number()).describe('wall time by phase'),
    input: z.record(z.string(), z.unknown()).describe('what the file was found to be, as in UploadReport'),
    verdicts: z.array(clientVerdict).readonly().describe('the first 20 by row'),
    warnings: z.array(warning).readonly().optional().describe('missing where there is nothing'),
  })
  .openapi('ClientsReport')
