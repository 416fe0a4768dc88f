import { isoOfDay } from '#streams/domain/calendar.ts'
import type { ReportWarning } from './report.ts'

/** Days by which a programme's day may move beyond most of the data before somebody is told. */
export const unremarkableDays = 31

export interface DayMove {
  /** The programme's day before; null where it had none. */
  readonly before: number | null
  readonly after: number
  readonly today: number
  /** Transactions that counted, by day. */
  readonly days: ReadonlyMap<number, number>
}

/**
 * What is said of a day that a few transactions have moved far beyond all the others (a wrong date, as a rule: the clock
 * of events goes by the newest day up to today, and never back); null where there is nothing to say. Few are one in a
 * hundred, or one, and all that are dated after today.
 */
export function dayAhead({ before, after, today, days }: DayMove): ReportWarning | null {
  if (before !== null && after <= before) return null
  const counts = [...days].sort(([one], [other]) => other - one)
  const few = Math.max(1, Math.floor(sum(counts) / 100))
  let passed = 0
  const most = counts.find(([day, count]) => {
    passed += count
    return day <= today && passed > few
  })
  const bulk = most === undefined ? before : Math.max(most[0], before ?? most[0])
  if (bulk === null) return null
  return movedFar(after, bulk, sum(counts.filter(([day]) => day > bulk)))
}

/** `transactions`: how many are dated after `bulk`, null where nobody has counted. Null where `after` is not far from it. */
export function movedFar(after: number, bulk: number, transactions: number | null): ReportWarning | null {
  if (after - bulk <= unremarkableDays) return null
  const culprits =
    transactions === null
      ? 'transactions dated later'
      : `${transactions} ${transactions === 1 ? 'transaction' : 'transactions'} dated later`
  return {
    code: 'day_ahead_of_data',
    message:
      `the programme's day is now ${isoOfDay(after)}, ${after - bulk} days after ${isoOfDay(bulk)}, because of ${culprits}. ` +
      'All clients are scored as of that day, and a day never goes back: see that the dates are right',
    details: { day: isoOfDay(after), most_of_the_data_until: isoOfDay(bulk), transactions },
  }
}

function sum(counts: readonly (readonly [number, number])[]): number {
  return counts.reduce((total, [, count]) => total + count, 0)
}
