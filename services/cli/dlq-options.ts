import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { type Command, Option } from 'commander'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { type MendingRule, parseRule } from '../ingest/dead-letters/rule.ts'
import {
  type LetterFilter,
  type LetterSelector,
  letterFilter,
  letterSelector,
} from '../ingest/dead-letters/selector.ts'
import type { CommonOptions } from './context.ts'
import { UsageError, wholeNumber } from './usage.ts'

/** Options that say which letters are meant. */
export interface SelectionOptions extends CommonOptions {
  readonly id?: string[]
  readonly reason?: string[]
  readonly source?: string[]
  readonly schema?: string[]
  readonly client?: string[]
  readonly from?: string
  readonly before?: string
  readonly cameBackFrom?: string
  readonly all?: boolean
}

const several = (value: string, before: string[] = []) => [...before, value]

export function filterOptions(command: Command): Command {
  return command
    .option('--id <id>', 'letters by id, such as 3:128 (again for more)', several)
    .option('--reason <reason>', 'letters of this reason (again for more)', several)
    .option('--source <source>', 'pos:<system> or upload:<id>; none: cannot be decoded (again for more)', several)
    .option('--schema <id>', 'id of the schema in the frame; none: no frame (again for more)', several)
    .option('--client <id>', 'letters of this client (again for more)', several)
    .option('--from <time>', 'arrived at this time or later, such as 2026-03-01T00:00:00+03:00')
    .option('--before <time>', 'arrived before this time')
    .option('--came-back-from <action>', 'letters that came back from this replay')
}

/** As `filterOptions`, for verbs that change something. */
export function selectionOptions(command: Command): Command {
  return filterOptions(command).option('--all', 'every open letter')
}

/** Errors: `option_invalid`. */
export function filterOf(options: SelectionOptions): LetterFilter {
  return checked(letterFilter.safeParse(fieldsOf(options)))
}

/** Errors: `option_invalid`, also where nothing is selected. */
export function selectorOf(options: SelectionOptions): LetterSelector {
  const fields = fieldsOf(options)
  return checked(letterSelector.safeParse(options.all === true ? { ...fields, all: true } : fields))
}

function fieldsOf({ id, reason, source, schema, client, from, before, cameBackFrom }: SelectionOptions) {
  const fields = {
    ...{ id, reason, client_id: client, arrived_from: from, arrived_before: before, came_back_from: cameBackFrom },
    source: source?.map((value) => (value === 'none' ? null : value)),
    schema_id: schema?.map((value) => (value === 'none' ? null : wholeNumber('--schema', 0)(value))),
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** How the fields of a selector are called on the command line. */
const optionNames: Readonly<Record<string, string>> = {
  ...{ client_id: '--client', schema_id: '--schema', arrived_from: '--from', arrived_before: '--before' },
  came_back_from: '--came-back-from',
}

type Parsed<T> =
  | { readonly success: true; readonly data: T }
  | {
      readonly success: false
      readonly error: { readonly issues: readonly { path: PropertyKey[]; message: string }[] }
    }

function checked<T>(parsed: Parsed<T>): T {
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const field = String(issue?.path[0] ?? '')
  const message =
    field === ''
      ? 'say which letters: by --id, --reason, --source, --schema, --client, --from, --before, --came-back-from, or --all'
      : `${optionNames[field] ?? `--${field}`}: ${issue!.message}`
  throw new UsageError(new LoyaltyError('option_invalid', message, { details: { field } }))
}

/** Options that say how letters are mended. */
export interface RuleOptions {
  readonly set?: string[]
  readonly mapClient?: string[]
  readonly writtenWith?: number
  readonly acceptCurrency?: string
  readonly bonus?: string
  readonly rekey?: boolean
  readonly rule?: string
}

export function ruleOptions(command: Command): Command {
  return command
    .option('--set <field=value>', 'give a field another value; nothing behind = takes an optional one away', several)
    .option('--map-client <old=new>', 'another client id', several)
    .option('--written-with <schema>', 'decode by this schema', wholeNumber('--written-with', 0))
    .option(
      '--accept-currency <code=rate>',
      "re-express amounts: units of the programme's currency for one, as EUR=98.4",
    )
    .addOption(
      new Option('--bonus <how>', 'with --accept-currency: what to do with bonus amounts').choices(['convert', 'keep']),
    )
    .option('--rekey', 'the client of the transaction becomes the key of the record')
    .option('--rule <file>', 'a rule as JSON in a file, instead of these options')
}

/** Errors: `rule_invalid`. */
export function ruleOf(options: RuleOptions): MendingRule {
  try {
    return parseRule(options.rule === undefined ? writtenRule(options) : JSON.parse(readFileSync(options.rule, 'utf8')))
  } catch (error) {
    if (error instanceof LoyaltyError) throw new UsageError(error)
    throw new UsageError(new LoyaltyError('rule_invalid', `${options.rule} cannot be read: ${messageOf(error)}`))
  }
}

function writtenRule(options: RuleOptions): Record<string, unknown> {
  const { set, mapClient, writtenWith, acceptCurrency, bonus, rekey } = options
  const [currency, rate] = acceptCurrency === undefined ? [] : pairOf('--accept-currency', acceptCurrency)
  return {
    ...(set === undefined ? {} : { set: Object.fromEntries(set.map((pair) => fieldOf(...pairOf('--set', pair)))) }),
    ...(mapClient === undefined
      ? {}
      : { map_client: Object.fromEntries(mapClient.map((pair) => pairOf('--map-client', pair))) }),
    ...(writtenWith === undefined ? {} : { schema_id: writtenWith }),
    ...(currency === undefined
      ? {}
      : { accept_currency: { currency, rate, ...(bonus === undefined ? {} : { bonus }) } }),
    ...(rekey === undefined ? {} : { rekey }),
  }
}

function pairOf(option: string, text: string): [string, string] {
  const at = text.indexOf('=')
  if (at >= 0) return [text.slice(0, at), text.slice(at + 1)]
  throw new LoyaltyError('rule_invalid', `${option} takes two values with = between them, not '${text}'`)
}

const numbers = /^(amount_minor|discount_minor|bonus_earned_minor|bonus_spent_minor|items_count)$/
const lists = /^(categories|lines|attributes)$/
const optional = /^(store_id|terminal_id|receipt_number|original_transaction_id|payment_method)$/

function fieldOf(name: string, text: string): [string, unknown] {
  if (numbers.test(name) || (name === 'occurred_at' && /^\d+$/.test(text)))
    return [name, text === '' ? text : Number(text)]
  if (optional.test(name) && text === '') return [name, null]
  if (!lists.test(name)) return [name, text]
  try {
    return [name, JSON.parse(text)]
  } catch (cause) {
    throw new LoyaltyError('rule_invalid', `--set ${name} takes JSON: ${messageOf(cause)}`, { cause })
  }
}

/** Who orders something from the command line: the name given, else that of the account. */
export function ordererOf(by: string | undefined): string | null {
  if (by !== undefined) return by
  try {
    return userInfo().username
  } catch {
    // An account without a name, as in some containers.
    return null
  }
}
