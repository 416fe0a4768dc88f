import { isDeepStrictEqual } from 'node:util'
import type { TransactionRecorded } from '#schemas/events.ts'
import { convertMinor, parseRate } from './convert.ts'
import type { MendingRule } from './rule.ts'

export type Mended =
  | { readonly kind: 'mended'; readonly event: TransactionRecorded; readonly changed: boolean }
  | Unmended

export type Unmended =
  /** The rule does not say what this transaction needs. */
  | { readonly kind: 'unfit'; readonly detail: string }
  /** What comes of it is more than a transaction can hold. */
  | { readonly kind: 'too_large'; readonly detail: string }

/** A transaction as a rule makes it. Pure. */
export function mend(event: TransactionRecorded, rule: MendingRule, programme: { readonly currency: string }): Mended {
  const patched = mapped(patchedBy(event, rule), rule)
  const converted = inProgrammeCurrency(patched, rule, programme.currency)
  if ('detail' in converted) return converted
  return { kind: 'mended', event: converted, changed: !isDeepStrictEqual(converted, event) }
}

function unfit(detail: string): Unmended {
  return { kind: 'unfit', detail }
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

/** The transaction, or why it cannot be converted by the rule. Attributes tell what was converted, and by what rate. */
function inProgrammeCurrency(
  event: TransactionRecorded,
  { accept_currency: accepted }: MendingRule,
  currency: string,
): TransactionRecorded | Unmended {
  if (accepted === undefined || event.currency !== accepted.currency) return event
  const bonus = event.bonus_earned_minor !== 0 || event.bonus_spent_minor !== 0
  if (bonus && accepted.bonus === undefined)
    return unfit('the transaction has bonus amounts: let accept_currency.bonus say whether to convert or to keep them')
  const rate = parseRate(accepted.rate)!
  const convert = (amountMinor: number) => convertMinor(amountMinor, event.currency, currency, rate)
  const bonusOf = (amountMinor: number) => (accepted.bonus === 'convert' ? convert(amountMinor) : amountMinor)
  const converted = {
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
  const tooLarge = amountNames.find((name) => Number.isNaN(converted[name]))
  const line = converted.lines.some(({ amount_minor: amountMinor }) => Number.isNaN(amountMinor))
  if (tooLarge === undefined && !line) return converted
  const what = tooLarge === undefined ? 'the amount of a line' : `${tooLarge} ${event[tooLarge]}`
  return {
    kind: 'too_large',
    detail: `${what} in ${event.currency} would be too large in ${currency} at ${accepted.rate}`,
  }
}

const amountNames = ['amount_minor', 'discount_minor', 'bonus_earned_minor', 'bonus_spent_minor'] as const
