import { Cron } from 'croner'
import { z } from 'zod'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { isTimeZone } from '../parse/zone.ts'

/** Sources of files that are looked through by the clock, as data: one JSON file lists all of them. */

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must be small letters, digits and dashes')
const profileName = z.string().min(1)

const filePattern = z.strictObject({
  pattern: z.string().min(1).describe('of the file name: * stands for anything but /, ? for one character'),
  profile: profileName.optional().describe('file profile; left out: chosen by the header'),
})

const common = {
  name,
  schedule: z
    .string()
    .refine(isSchedule, 'must be a cron expression, such as "*/5 * * * *"')
    .describe('cron: minute hour day-of-month month day-of-week, or with seconds in front'),
  time_zone: z.string().refine(isTimeZone, 'must be an IANA time zone').default('UTC').describe('of the schedule'),
}

const files = z
  .array(filePattern)
  .min(1)
  .describe('the first pattern that fits says how a file is read; files that fit none are left alone')

const folder = z.strictObject({
  ...common,
  kind: z.literal('folder'),
  path: z.string().min(1).describe('absolute, or relative to the data directory'),
  files,
  complete: z
    .union([
      z.strictObject({ quiet_seconds: z.number().min(0).max(86_400) }),
      z.strictObject({ marker: z.string().regex(/^\.[A-Za-z0-9]+$/, 'must be a suffix such as .done') }),
    ])
    .default({ quiet_seconds: 60 })
    .describe(
      'when a file is whole: nothing has changed it for so long, or a file of its name and this suffix is there',
    ),
})

const secret = z.string().min(1).describe('the text itself, or env:NAME for that variable of the environment')

const s3 = z.strictObject({
  ...common,
  kind: z.literal('s3'),
  endpoint: z.url().describe('with the bucket: https://s3.eu-central-1.amazonaws.com/bucket'),
  region: z.string().default('auto'),
  access_key_id: secret,
  secret_access_key: secret,
  prefix: z
    .string()
    .default('')
    .describe('keys begin so; what is below processed/ and failed/ behind it is left alone'),
  files,
})

const postgres = z.strictObject({
  ...common,
  kind: z.literal('postgres'),
  url: secret,
  query: z.string().min(1).describe('one SELECT; $1 is the watermark where there is one'),
  profile: profileName.describe('file profile of the rows, whose columns are named as those of the query'),
  watermark: z
    .strictObject({
      column: z.string().min(1).describe('of the query, which must be ordered by it'),
      initial: z.string().describe('before the first run'),
    })
    .optional(),
})

const sourcesSchema = z
  .array(z.discriminatedUnion('kind', [folder, s3, postgres]))
  .refine((all) => new Set(all.map((source) => source.name)).size === all.length, 'two sources have one name')

export type SourceConfig = z.output<typeof sourcesSchema>[number]
export type FolderConfig = Extract<SourceConfig, { kind: 'folder' }>
export type S3Config = Extract<SourceConfig, { kind: 's3' }>
export type PostgresConfig = Extract<SourceConfig, { kind: 'postgres' }>
export type FilePattern = z.output<typeof filePattern>

function isSchedule(text: string): boolean {
  try {
    new Cron(text, { paused: true })
    return true
  } catch {
    return false
  }
}

/**
 * Sources from the text of their file. `variable`: of the environment, for secrets.
 *
 * Errors: `sources_invalid` (details.faults: a sentence per fault).
 */
export function parseSources(text: string, variable: (name: string) => string | undefined): SourceConfig[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw invalid([`it is no JSON: ${messageOf(cause)}`])
  }
  const parsed = sourcesSchema.safeParse(value)
  if (!parsed.success)
    throw invalid(
      parsed.error.issues.map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`)),
    )
  const missing: string[] = []
  const resolve = (text: string) => {
    if (!text.startsWith('env:')) return text
    const found = variable(text.slice(4))
    if (found === undefined || found === '') missing.push(text.slice(4))
    return found ?? ''
  }
  const sources = parsed.data.map((source): SourceConfig => {
    if (source.kind === 's3')
      return {
        ...source,
        access_key_id: resolve(source.access_key_id),
        secret_access_key: resolve(source.secret_access_key),
      }
    return source.kind === 'postgres' ? { ...source, url: resolve(source.url) } : source
  })
  if (missing.length > 0) throw invalid(missing.map((name) => `the environment has no variable ${name}`))
  return sources
}

function invalid(faults: readonly string[]): LoyaltyError {
  return new LoyaltyError('sources_invalid', `the file of sources is invalid: ${faults.join('; ')}`, {
    details: { faults },
  })
}

/** The first pattern that a file's name fits; null where it fits none. */
export function patternOf(patterns: readonly FilePattern[], fileName: string): FilePattern | null {
  return patterns.find(({ pattern }) => expressionOf(pattern).test(fileName)) ?? null
}

function expressionOf(pattern: string): RegExp {
  const parts = pattern
    .split(/([*?])/)
    .map((part) => (part === '*' ? '[^/]*' : part === '?' ? '[^/]' : RegExp.escape(part)))
  return new RegExp(`^${parts.join('')}$`)
}
