import { isDeepStrictEqual } from 'node:util'
import type { TransactionRecorded } from '#schemas/events.ts'
import { convertMinor, parseRate } from './convert.ts'
import type { MendingRule } from './rule.ts'

export type Mended =
  | { readonly kind: 'mended'; readonly event: TransactionRecorded; readonly changed: boolean }
  /** The rule does not say what this transaction needs. */
  | { readonly kind: 'unfit'; readonly detail: string }

/** A transaction as a rule makes it. Pure. */
export function mend(event: TransactionRecorded, rule: MendingRule, programme: { readonly currency: string }): Mended {
  const patched = mapped(patchedBy(event, rule), rule)
  const converted = inProgrammeCurrency(patched, rule, programme.currency)
  if (typeof converted === 'string') return { kind: 'unfit', detail: converted }
  return { kind: 'mended', event: converted, changed: !isDeepStrictEqual(converted, event) }
}

function patchedBy(event: TransactionRecorded, { set }: MendingRule): TransactionRecorded {
  if (set === undefined) return event
  const { occurred_at: when, ...fields } = set
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  return {
    ...event,
    ...given,
    ...(when === undefined ? {} : { occurred_at: typeof when === 'number' ? when : Date.parse(when) }),
  }
}

function mapped(event: TransactionRecorded, { map_client: map }: MendingRule): TransactionRecorded {
  const client = map !== undefined && Object.hasOwn(map, event.client_id) ? map[event.client_id] : undefined
  return client === undefined ? event : { ...event, client_id: client }
}

/** The transaction, or why the rule cannot convert it. Attributes tell what was converted, and by what rate. */
function inProgrammeCurrency(
  event: TransactionRecorded,
  { accept_currency: accepted }: MendingRule,
  currency: string,
): TransactionRecorded | string {
  if (accepted === undefined || event.currency !== accepted.currency) return event
  const bonus = event.bonus_earned_minor !== 0 || event.bonus_spent_minor !== 0
  if (bonus && accepted.bonus === undefined)
    return 'the transaction has bonus amounts: let accept_currency.bonus say whether to convert or to keep them'
  const rate = parseRate(accepted.rate)!
  const convert = (amountMinor: number) => convertMinor(amountMinor, event.currency, currency, rate)
  const bonusOf = (amountMinor: number) => (accepted.bonus === 'convert' ? convert(amountMinor) : amountMinor)
  return {
    ...event,
    currency,
    amount_minor: convert(event.amount_minor),
    discount_minor: convert(event.discount_minor),
    lines: event.lines.map((line) => ({ ...line, amount_minor: convert(line.amount_minor) })),
    bonus_earned_minor: bonusOf(event.bonus_earned_minor),
    bonus_spent_minor: bonusOf(event.bonus_spent_minor),
    attributes: {
      ...event.attributes,
      original_currency: event.currency,
      original_amount_minor: String(event.amount_minor),
      exchange_rate: accepted.rate,
    },
  }
}
