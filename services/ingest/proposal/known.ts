import { findClientColumns } from '../clients/columns.ts'
import { type ClientsProfile, isOfClients } from '../clients/profile.ts'
import { findColumns } from '../files/columns.ts'
import type { AnyProfile, FileProfile } from '../profile.ts'
import { notationOf } from '../profile-fields.ts'
import { shownValue } from '../verdicts.ts'
import { type ColumnSeen, columnsOf } from './column.ts'
import { settledOrder } from './date-order.ts'
import { askYears, datesOf, shareOfDates, withTime } from './dates.ts'
import type { ProposedField } from './names.ts'
import { numbersOf, shareOfNumbers } from './numbers.ts'
import type { Proposal, ProposedColumn } from './proposal.ts'
import { type Question, question } from './question.ts'
import { readSampleBy, type Sample } from './sample.ts'
import { standsBelowTitles } from './titles.ts'
import { shownOtherwise } from './units.ts'

/** Profiles whose columns a file has, and what of them this file writes in its own way. */

/** True where the file has every column that the profile reads, under its name. */
export function isOfProfile(profile: AnyProfile, { header }: Sample): boolean {
  const { format } = profile
  if (header === null || !format.header) return false
  // Fields by their place fit every file; only a header line with just their names says that it is this one.
  if (format.kind === 'fixed')
    return header.length === format.fields.length && format.fields.every(({ name }, at) => header[at] === name)
  try {
    if (isOfClients(profile)) findClientColumns(profile, header)
    else findColumns(profile, header)
    return true
  } catch {
    return false
  }
}

/** The sample as it is where the names of the profile's columns stand below titles that nothing else tells; else null. */
export async function sampleBelowTitles(profile: AnyProfile, path: string, sample: Sample): Promise<Sample | null> {
  const { format, head } = sample
  if (format.kind !== 'csv' || profile.format.kind !== 'csv') return null
  for (let at = 1; at < head.length - 1; at++) {
    const below = { ...format, header: true, skip_rows: at }
    if (!standsBelowTitles(head, at) || !isOfProfile(profile, { ...sample, format: below, header: head[at]! })) continue
    return readSampleBy(path, below)
  }
  return null
}

/** So many values have to be read by the formats of the profile for them to be this file's. */
const enough = 0.95

/**
 * A known profile for a file with its columns: the same system, identity and meaning, with the file's own packing of cells,
 * numbers and dates where those of the profile do not read it.
 */
export async function proposeKnown(profile: AnyProfile, path: string, sample: Sample): Promise<Proposal> {
  if (isOfClients(profile)) return proposeClients(profile, sample)
  const columns = columnsOf(sample)
  const confirm: Question[] = []
  const format = formatFor(profile, sample)
  const numbers = numbersFor(profile, columns, confirm)
  const dates = await datesFor({ ...profile, format, numbers }, path, sample, columns, confirm)
  const { amount, unit_price } = profile.columns
  confirm.push(...shownOtherwise(sample, [columnOf(columns, amount), columnOf(columns, unit_price)], profile.currency))
  const own = { ...profile, format, numbers, dates }
  const isVariant = numbers !== profile.numbers || dates !== profile.dates || !isSameFormat(profile.format, format)
  return {
    basis: isVariant ? 'variant' : 'known',
    known: profile.name,
    draft: own,
    profile: own,
    columns: mappingOf(profile, sample),
    confirm,
    input: sample.input,
  }
}

/** Their dates are of several kinds, and few have a bonus: only the packing of cells is the file's own. */
function proposeClients(profile: ClientsProfile, sample: Sample): Proposal {
  const format = formatFor(profile, sample)
  const own = { ...profile, format }
  return {
    basis: isSameFormat(profile.format, format) ? 'known' : 'variant',
    known: profile.name,
    draft: own,
    profile: own,
    columns: mappingOf(profile, sample),
    confirm: [],
    input: sample.input,
  }
}

/** UTF-8 is what is found by itself; every other encoding that a profile names is its word. */
function formatFor({ format }: Pick<FileProfile, 'format'>, sample: Sample): FileProfile['format'] {
  const encoding = /^utf-?8$/i.test(format.encoding) ? 'auto' : format.encoding
  if (format.kind === 'fixed') return { ...format, encoding }
  if (format.kind !== sample.format.kind) return sample.format
  if (format.kind !== 'csv') return { ...format, encoding }
  const { delimiter, skip_rows, sheet = format.sheet } = sample.format as typeof format
  const { skip_rows: _, sheet: __, ...own } = format
  return {
    ...{ ...own, delimiter, encoding },
    ...(skip_rows === undefined ? {} : { skip_rows }),
    ...(sheet === undefined ? {} : { sheet }),
  }
}

function isSameFormat(a: FileProfile['format'], b: FileProfile['format']): boolean {
  if (a.kind !== b.kind) return false
  if (a.kind !== 'csv' || b.kind !== 'csv') return true
  const isSamePlace = a.skip_rows === b.skip_rows && a.sheet === b.sheet
  return isSamePlace && (a.delimiter === b.delimiter || a.delimiter === 'auto')
}

function columnOf(columns: readonly ColumnSeen[], reference: string | number | undefined): ColumnSeen | undefined {
  return typeof reference === 'number' ? columns[reference] : columns.find((column) => column.name === reference)
}

function numbersFor(profile: FileProfile, columns: readonly ColumnSeen[], confirm: Question[]): FileProfile['numbers'] {
  const { amount, unit_price, quantity } = profile.columns
  const read = [amount, unit_price, quantity].flatMap((reference) => columnOf(columns, reference) ?? [])
  if (read.every(({ values }) => values.length === 0 || shareOfNumbers(values, profile.numbers) >= enough))
    return profile.numbers
  const { format, settled, why } = numbersOf(read.map(({ values }) => values))
  if (!settled) confirm.push(question('numbers', `${why}: which is it?`))
  return { ...format }
}

async function datesFor(
  profile: FileProfile,
  path: string,
  sample: Sample,
  columns: readonly ColumnSeen[],
  confirm: Question[],
): Promise<FileProfile['dates']> {
  const column = columnOf(columns, profile.columns.occurred_at)
  if (column === undefined) return profile.dates
  const time = columnOf(columns, profile.columns.time)
  const texts = time === undefined ? column.values : await datesWithTimes(profile, path)
  if (shareOfDates(texts, profile.dates.formats) >= enough) return profile.dates
  const found = datesOf(column.values)
  if (found === null || found.share < enough || (time !== undefined && time.times < enough)) {
    const [example = ''] = column.values
    confirm.push(question('dates.formats', `how are the dates in "${column.name}" written ("${example}")?`))
    return profile.dates
  }
  if (found.hasShortYears) confirm.push(askYears(found, column.values[0]!))
  const whole = (format: string) => (time === undefined ? format : withTime(format, column.values, time.values))
  const own = (format: string) => ({ ...profile.dates, formats: [whole(format)] })
  if (found.rival === null) return own(found.formats[0]!)
  const settled = await settledOrder(path, sample.format, column.index, [found.formats[0]!, found.rival])
  if (settled === null)
    confirm.push(
      question(
        'dates.formats',
        `no date of the first rows tells whether days or months come first: ${whole(found.formats[0]!)} or ${whole(found.rival)}?`,
      ),
    )
  return own(settled ?? found.formats[0]!)
}

/** Dates and the times of another column behind them, as an upload reads them, where a row has both. */
async function datesWithTimes(profile: FileProfile, path: string): Promise<string[]> {
  const sample = await readSampleBy(path, profile.format, notationOf(profile))
  const { occurredAt, time } = findColumns(profile, sample.header)
  const texts = sample.rows.map((row) => [row[occurredAt]?.trim() ?? '', row[time]?.trim() ?? ''])
  return texts.filter((parts) => !parts.includes('')).map((parts) => parts.join(' '))
}

/** What a profile reads of the columns of a file. */
export function mappingOf(profile: AnyProfile, sample: Sample): ProposedColumn[] {
  return columnsOf(sample).map((column) => mappedColumn(column, profile))
}

function mappedColumn(column: ColumnSeen, profile: AnyProfile): ProposedColumn {
  const { attributes, ...fields } = profile.columns
  const { consent = {}, ...plain } = 'consent' in fields ? fields : { ...fields, consent: {} }
  const is = (reference: unknown) => reference === column.index || reference === column.name
  const field =
    (Object.entries(plain).find(([, reference]) => is(reference))?.[0] as ProposedField | undefined) ??
    namedBy('consent', consent, is) ??
    namedBy('attributes', attributes, is)
  const examples = isOfClients(profile) ? [] : [...column.distinct].slice(0, 3).map(shownValue)
  const why = field === null ? 'not read' : `profile ${profile.name}`
  return { index: column.index, name: column.name, field, confidence: field === null ? 0 : 1, why, examples }
}

function namedBy<Group extends 'attributes' | 'consent'>(
  group: Group,
  columns: Readonly<Record<string, string | number>>,
  is: (reference: unknown) => boolean,
): `${Group}.${string}` | null {
  const name = Object.keys(columns).find((each) => is(columns[each]))
  return name === undefined ? null : `${group}.${name}`
}
