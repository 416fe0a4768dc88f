import { createHash } from 'node:crypto'
import { isCurrency } from '../parse/currency.ts'
import { type FileProfile, parseProfile, profileSchema } from '../profile.ts'
import { shownValue } from '../verdicts.ts'
import { type Assigned, type Assignment, assignColumns, confident } from './assign.ts'
import { type ColumnSeen, columnsOf } from './column.ts'
import { settledOrder } from './date-order.ts'
import { askYears, hasTimes, withTime } from './dates.ts'
import { discountsUnread } from './discounts.ts'
import { isOtherUnit, meaningsOf, normalName, type ProposedField } from './names.ts'
import { numbersOf, unitsBeside } from './numbers.ts'
import type { Proposal, ProposalContext, ProposedColumn } from './proposal.ts'
import { type Question, question } from './question.ts'
import { type Found, kindsOf, moneyOf, receiptsOf } from './receipts.ts'
import { askRejected } from './rejected.ts'
import type { Sample } from './sample.ts'
import { shownOtherwise } from './units.ts'

/** A profile made from what a file shows, for a header that nobody has described yet. */
export async function proposeByContent(path: string, sample: Sample, context: ProposalContext): Promise<Proposal> {
  const columns = columnsOf(sample)
  const assigned = assignColumns(columns)
  const confirm: Question[] = []
  const take = <Part>({ part, open }: Found<Part>): Part => {
    confirm.push(...open)
    return part
  }
  const numbers = take(numbersFound(assigned))
  const money = moneyOf(assigned, numbers)
  const { grain, identity } = take(receiptsOf(assigned))
  const kinds = take(kindsOf(assigned, take(money), numbers))
  const dates = take(await datesFound(path, sample, assigned))
  const name = `sheet-${headerDigest(sample)}`
  const draft = {
    name,
    title: `proposed for columns ${columns.map((column) => column.name).join(', ')}`.slice(0, 300),
    system: { name, identity },
    grain,
    ...take(currencyFound(sample, assigned, context)),
    ...(context.timeZone === null ? {} : { time_zone: context.timeZone }),
    format: sample.format,
    columns: { ...plainColumns(assigned), ...money.part },
    client_id: { written_as: writtenAs(assigned.get('client')?.column) },
    kinds,
    numbers,
    dates: { formats: dates },
    missing: { client: 'reject' },
  }
  if (context.timeZone === null)
    confirm.push(
      question('time_zone', 'in which time zone are the dates? The file does not say, and no programme has begun'),
    )
  confirm.push(...doubts(columns, assigned, money.confidence), ...discountsUnread(columns, assigned, money.part))
  const parsed = profileSchema.safeParse(draft)
  const profile = parsed.success ? parsed.data : null
  if (profile !== null)
    confirm.push(...(await askRejected(path, profile, context.currency, { basis: 'content', asked: confirm })))
  else if (confirm.length === 0) parseProfile(draft, name)
  return {
    basis: 'content',
    known: null,
    draft: profile ?? draft,
    profile,
    columns: columns.map((column) => proposedColumn(column, assigned, confirm)),
    confirm,
    input: sample.input,
  }
}

/** Systems are told apart by their header: the same export next month is of the same system. */
function headerDigest({ header, rows }: Sample): string {
  const names = header === null ? [`without names, ${rows[0]!.length} columns`] : header.map(normalName)
  return createHash('sha256').update(names.join('\n')).digest('hex').slice(0, 8)
}

function numbersFound(assigned: Assignment): Found<FileProfile['numbers']> {
  const columns = (['amount', 'unit_price', 'quantity'] as const).flatMap((field) => assigned.get(field)?.column ?? [])
  const { format, settled, why } = numbersOf(columns.map((column) => column.values))
  return { part: { ...format }, open: settled ? [] : [question('numbers', `${why}: which is it?`)] }
}

async function datesFound(path: string, sample: Sample, assigned: Assignment): Promise<Found<string[]>> {
  const found = assigned.get('occurred_at')
  if (found === undefined) return { part: [], open: [] }
  const { dates, values, index } = found.column
  if (dates === null) return { part: ['excel'], open: [] }
  const time = assigned.get('time')?.column
  const combined = (format: string) => (time === undefined ? format : withTime(format, values, time.values))
  const [format = 'iso'] = dates.formats
  if (dates.hasShortYears) return { part: [combined(format)], open: [askYears(dates, values[0]!)] }
  if (dates.rival === null) return { part: [combined(format)], open: [] }
  const settled = await settledOrder(path, sample.format, index, [format, dates.rival])
  if (settled !== null) return { part: [combined(settled)], open: [] }
  const open = question(
    'dates.formats',
    `no date of the first rows tells whether days or months come first ("${values[0]}"): ${combined(format)} or ${combined(dates.rival)}?`,
  )
  return { part: [combined(format)], open: [open] }
}

function currencyFound(sample: Sample, assigned: Assignment, context: ProposalContext): Found<{ currency?: string }> {
  const column = assigned.get('currency')?.column
  const own = column === undefined ? [] : [...column.distinct].filter(isCurrency)
  const sums = [assigned.get('amount')?.column, assigned.get('unit_price')?.column]
  const units = unitsBeside(sums.flatMap((each) => each?.values ?? []))
  // A sign is of several currencies, a code of one.
  const [said = null, ...others] = own.length > 0 ? own : units.filter(isCurrency)
  const currency = context.currency ?? (others.length === 0 ? said : null)
  if (currency === null) {
    const seen = units.length === 0 ? 'The file does not say' : `They are written with ${units.slice(0, 3).join(', ')}`
    return {
      part: {},
      open: [question('currency', `in which currency are the sums? ${seen}, and no programme has begun`)],
    }
  }
  const open =
    own.length > 0 && !own.includes(currency)
      ? [question('currency', `the file is in ${own.slice(0, 3).join(', ')}, the programme counts in ${currency}`)]
      : []
  for (const field of ['amount', 'unit_price'] as const) {
    const name = assigned.get(field)?.column.name
    if (name !== undefined && isOtherUnit(name, currency))
      open.push(question('currency', `sums are read in ${currency}, but the name "${name}" says another unit`))
  }
  return { part: { currency }, open: [...open, ...shownOtherwise(sample, sums, currency)] }
}

/** Fields whose columns stand in the profile as they were found. */
const plainFields = [
  'client',
  'occurred_at',
  'receipt_number',
  'sku',
  'description',
  'category',
  'store',
  'terminal',
  'payment',
  'original',
] as const

function plainColumns(assigned: Assignment): Record<string, string | number> {
  const columns: Record<string, string | number> = {}
  for (const field of plainFields) {
    const found = assigned.get(field)
    if (found !== undefined) columns[field] = found.column.reference
  }
  const time = assigned.get('time')
  if (time !== undefined && columns.occurred_at !== undefined) columns.time = time.column.reference
  for (const field of ['kind', 'currency'] as const) {
    const found = assigned.get(field)
    if (found !== undefined && found.confidence >= confident * 0.6) columns[field] = found.column.reference
  }
  return columns
}

function writtenAs(column: ColumnSeen | undefined): 'text' | 'integer' {
  const values = column?.values ?? []
  const isNumber = values.length > 0 && values.every((value) => /^\d+([.,]0+)?$/.test(value))
  return isNumber && values.some((value) => /[.,]/.test(value)) ? 'integer' : 'text'
}

/** Questions for what is needed and not certain. */
function doubts(columns: readonly ColumnSeen[], assigned: Assignment, money: number): Question[] {
  const open: Question[] = []
  const doubt = (field: ProposedField, found: Assigned | undefined, what: string) => {
    if (found === undefined) open.push(question(`columns.${field}`, `which column is ${what}?`))
    else if (found.confidence < confident)
      open.push(question(`columns.${field}`, `is "${found.column.name}" ${what}? ${found.why}`))
  }
  doubt('client', assigned.get('client'), 'the client')
  doubt('occurred_at', assigned.get('occurred_at'), 'the date')
  for (const [field, what] of [
    ['receipt_number', 'the number of the receipt'],
    ['store', 'the store'],
    ['terminal', 'the till'],
    ['original', 'the receipt that a refund is of'],
    ['kind', 'what kind a row is'],
  ] as const)
    if (assigned.has(field)) doubt(field, assigned.get(field), what)
  const time = unreadTime(columns, assigned)
  if (time !== undefined)
    open.push(
      question(
        'columns.time',
        `"${time.name}" has what is no time of day that is known ("${shownValue(time.values[0]!)}"), and dates have none: how are times written?`,
      ),
    )
  if (money > 0 && money < confident) {
    const sums = (['amount', 'unit_price', 'quantity'] as const).flatMap((field) => assigned.get(field) ?? [])
    const least = sums.reduce((a, b) => (a.confidence <= b.confidence ? a : b))
    open.push(question('columns.amount', `is the sum of a row read right? "${least.column.name}": ${least.why}`))
  }
  const currency = assigned.has('currency')
    ? undefined
    : columns.find((column) => meaningsOf(column.name).get('currency') === 1)
  if (currency !== undefined && currency.values.length > 0)
    open.push(
      question(
        'columns.currency',
        `"${currency.name}" has what is no ISO code (${[...currency.distinct].slice(0, 5).join(', ')}): what do they mean?`,
      ),
    )
  const kind = assigned.has('kind') ? undefined : columns.find((column) => meaningsOf(column.name).get('kind') === 1)
  if (kind !== undefined && kind.values.length > 0)
    open.push(
      question(
        'columns.kind',
        `"${kind.name}" has no kind that is known (${[...kind.distinct].slice(0, 5).join(', ')}): what do they mean?`,
      ),
    )
  return open
}

/** A column that is called a time of day and cannot be read as one, where without it all would be of midnight. */
function unreadTime(columns: readonly ColumnSeen[], assigned: Assignment): ColumnSeen | undefined {
  const dates = assigned.get('occurred_at')?.column.values
  if (dates === undefined || assigned.has('time')) return undefined
  if (hasTimes(dates)) return undefined
  const taken = new Set([...assigned.values()].map(({ column }) => column.index))
  return columns.find(
    ({ index, name, values }) => !taken.has(index) && values.length > 0 && meaningsOf(name).get('time') === 1,
  )
}

/** What is asked about the values of a column makes the column itself less certain. */
const doubted: Readonly<Partial<Record<string, readonly ProposedField[]>>> = {
  'dates.formats': ['occurred_at'],
  numbers: ['amount', 'unit_price', 'quantity'],
  'columns.unit_price': ['unit_price'],
}

function proposedColumn(column: ColumnSeen, assigned: Assignment, confirm: readonly Question[]): ProposedColumn {
  const found = [...assigned].find(([, { column: own }]) => own.index === column.index)
  const examples = [...column.distinct].slice(0, 3).map(shownValue)
  const { index, name } = column
  if (found === undefined) return { index, name, field: null, confidence: 0, why: 'not read', examples }
  const [field, { confidence, why }] = found
  const doubt = confirm.find((asked) => doubted[asked.field]?.includes(field))
  if (doubt === undefined) return { index, name, field, confidence, why, examples }
  return { index, name, field, confidence: Math.min(confidence, 0.5), why: doubt.message, examples }
}
