import { createHash } from 'node:crypto'
import { type ClientsProfile, clientsProfileSchema } from '../clients/profile.ts'
import { type Assigned, confident } from './assign.ts'
import { assignClientColumns, type ClientsAssignment } from './clients-assign.ts'
import { type ColumnSeen, columnsOf } from './column.ts'
import { settledOrder } from './date-order.ts'
import { datesOf, lifeDays } from './dates.ts'
import { normalName } from './names.ts'
import { numbersOf } from './numbers.ts'
import type { Proposal, ProposalContext, ProposedColumn } from './proposal.ts'
import { type Question, question } from './question.ts'
import { askRejected } from './rejected.ts'
import type { Sample } from './sample.ts'

/**
 * A profile made from what a file of clients shows; null where the file is none. What is asked never repeats a value: they are
 * personal data, and errors go to logs.
 */
export async function proposeClientsByContent(
  path: string,
  sample: Sample,
  context: ProposalContext,
): Promise<Proposal<ClientsProfile> | null> {
  const columns = columnsOf(sample)
  const assignment = assignClientColumns(columns)
  if (assignment === null) return null
  const { fields, consent } = assignment
  const confirm: Question[] = [...doubts(assignment)]
  const column = (field: 'bonus' | 'client') => fields.get(field)?.column
  const numbers = numbersOf([column('bonus')?.values ?? []])
  if (!numbers.settled)
    confirm.push(
      question('numbers', 'in balances such as 1,234 the mark may be a decimal sign or divide thousands: which is it?'),
    )
  const formats = await dateFormats(path, sample, assignment, confirm)
  if (context.timeZone === null)
    confirm.push(
      question('time_zone', 'in which time zone are the dates? The file does not say, and no programme has begun'),
    )
  if (fields.has('bonus') && !fields.has('bonus_at'))
    confirm.push(
      question('bonus_at', 'at the beginning of which day did clients have these balances (such as "2026-01-01")?'),
    )
  const draft = {
    kind: 'clients' as const,
    name: `clients-${digestOf(columns)}`,
    title: `proposed for columns ${columns.map(({ name }) => name).join(', ')}`.slice(0, 300),
    ...(context.timeZone === null ? {} : { time_zone: context.timeZone }),
    format: sample.format,
    columns: {
      ...Object.fromEntries([...fields].map(([field, { column }]) => [field, column.reference])),
      consent: Object.fromEntries([...consent].map(([channel, { reference }]) => [channel, reference])),
    },
    client_id: { written_as: hasTails(column('client')) ? 'integer' : 'text' },
    numbers: { ...numbers.format },
    dates: { formats },
    ...consentWords([...consent.values()], confirm),
  }
  const parsed = clientsProfileSchema.safeParse(draft)
  const profile = parsed.success ? parsed.data : null
  if (profile !== null)
    confirm.push(...(await askRejected(path, profile, context.currency, { basis: 'content', asked: confirm })))
  return {
    ...{ basis: 'content', known: null, draft: profile ?? draft, profile, confirm, input: sample.input },
    columns: columns.map((each) => proposedColumn(each, assignment)),
  }
}

function digestOf(columns: readonly ColumnSeen[]): string {
  const names = columns.map(({ name }) => normalName(name)).join('\n')
  return createHash('sha256').update(names).digest('hex').slice(0, 8)
}

const asked = { client: 'the client', name: 'the name', email: 'the e-mail address', phone: 'the telephone' } as const

function doubts({ fields }: ClientsAssignment): Question[] {
  const open: Question[] = []
  if (!fields.has('client'))
    open.push(question('columns.client', 'which column is the client, as transactions name it?'))
  for (const [field, { column, confidence, why }] of fields) {
    const what = field in asked ? asked[field as keyof typeof asked] : field.replace('_', ' ')
    if (confidence < confident) open.push(question(`columns.${field}`, `is "${column.name}" ${what}? ${why}`))
  }
  return open
}

const dateFields = ['birth_date', 'registered_at', 'bonus_at'] as const

/** All formats that the columns of dates have; one is asked for where the order of day and month, or the century, is open. */
async function dateFormats(
  path: string,
  sample: Sample,
  { fields }: ClientsAssignment,
  confirm: Question[],
): Promise<string[]> {
  const formats = new Set<string>()
  for (const field of dateFields) {
    const column = fields.get(field)?.column
    const found = column === undefined ? null : datesOf(column.values, lifeDays)
    if (column === undefined || found === null) continue
    const [format = 'iso'] = found.formats
    if (found.hasShortYears)
      confirm.push(
        question(
          'dates.formats',
          `years in "${column.name}" have two digits, of either century: export them with four`,
        ),
      )
    const settled =
      found.rival === null
        ? format
        : await settledOrder(path, sample.format, column.index, [format, found.rival], lifeDays)
    if (settled === null)
      confirm.push(
        question(
          'dates.formats',
          `no date of "${column.name}" tells whether days or months come first: ${format} or ${found.rival}?`,
        ),
      )
    if (!found.hasShortYears) formats.add(settled ?? format)
  }
  return formats.size === 0 ? ['iso'] : [...formats]
}

function hasTails(column: ColumnSeen | undefined): boolean {
  const values = column?.values ?? []
  const areNumbers = values.length > 0 && values.every((value) => /^\d+([.,]0+)?$/.test(value))
  return areNumbers && values.some((value) => /[.,]/.test(value))
}

const yes = ['true', '1', 'да', 'yes', 'y', 'д', '+', 'есть', 'согласен', 'согласна', 'on']
const no = ['false', '0', 'нет', 'no', 'n', 'н', '-', 'не согласен', 'не согласна', 'off']

/** The words for yes and no that the usual ones do not cover, where the columns have some. */
function consentWords(columns: readonly ColumnSeen[], confirm: Question[]): Pick<Partial<ClientsProfile>, 'consent'> {
  const seen = new Set(columns.flatMap(({ distinct }) => [...distinct].map((word) => word.toLowerCase())))
  const unknown = [...seen].filter((word) => !yes.includes(word) && !no.includes(word))
  if (unknown.length > 0)
    confirm.push(
      question('consent', `${unknown.length} words in columns of consent are neither yes nor no: which is each?`),
    )
  return seen.size === 0 ? {} : { consent: { yes, no } }
}

function proposedColumn({ index, name }: ColumnSeen, { fields, consent }: ClientsAssignment): ProposedColumn {
  const found = [...fields].find(([, { column }]) => column.index === index)
  const channel = [...consent].find(([, column]) => column.index === index)?.[0]
  const about = { index, name, examples: [] }
  if (found !== undefined) {
    const [field, { confidence, why }]: [(typeof found)[0], Assigned] = found
    return { ...about, field, confidence, why }
  }
  return channel === undefined
    ? { ...about, field: null, confidence: 0, why: 'not read' }
    : { ...about, field: `consent.${channel}`, confidence: 1, why: 'its name' }
}
