/** Stands where a value does not exist: no purchase, no date, no cut-points. */
export const none = -1

/** Bits of `Values.flags`. */
export const Flag = { refundsAboveSale: 1, originalOfWrongKind: 2, windowsCut: 4 } as const

/**
 * What a ledger says about a client as of the context's date. One object is filled again and again; all fields are
 * numbers, `none` (-1) where there is no value. Before the first date all entries count and whatever depends on the date
 * (recency, windows, scores) is empty.
 *
 * A sale is *counted* when it is neither voided nor fully refunded through references. A window of n days is the date and
 * the n - 1 days before it.
 */
export interface Values {
  /** First and last counted sale, epoch ms, and their days in the programme's zone; `none` without one. */
  firstPurchaseAtMs: number
  lastPurchaseAtMs: number
  firstPurchaseDay: number
  lastPurchaseDay: number
  /** Date less last purchase day; `none` without purchase or date. */
  recencyDays: number
  /** Counted sales. */
  frequency: number
  /** Sales not voided. */
  sales: number
  /** Sum of sales not voided. */
  monetaryGrossMinor: number
  /** Gross less refunds in effect; negative where refunds without an original exceed the sales. */
  monetaryNetMinor: number
  /** Refunds in effect. */
  refundedMinor: number
  /** Gross per sale not voided; 0 without one. */
  meanReceiptMinor: number
  /** Counted sales in the window. */
  purchases30d: number
  purchases90d: number
  purchases365d: number
  /** Gross of sales not voided in the window. */
  spend30dMinor: number
  spend90dMinor: number
  spend365dMinor: number
  /** Days from first to last counted sale over their number less one; `none` below two. */
  meanDaysBetween: number
  /** Refunded / gross; 0 where gross is 0. */
  refundShare: number
  /** Bonus of sales not voided less that of refunds in effect: a refund takes back what it states. */
  bonusEarnedMinor: number
  bonusSpentMinor: number
  /** Distinct stores of counted sales. */
  stores: number
  /** Entries, effective or not. */
  transactions: number
  /** Refunds and voids whose original has not arrived. */
  waiting: number
  flags: number
  /** Scores, 1 is worst; `none` without purchase, date or cut-points. */
  rScore: number
  fScore: number
  mScore: number
}

export function newValues(): Values {
  return {
    firstPurchaseAtMs: none,
    lastPurchaseAtMs: none,
    firstPurchaseDay: none,
    lastPurchaseDay: none,
    recencyDays: none,
    frequency: 0,
    sales: 0,
    monetaryGrossMinor: 0,
    monetaryNetMinor: 0,
    refundedMinor: 0,
    meanReceiptMinor: 0,
    purchases30d: 0,
    purchases90d: 0,
    purchases365d: 0,
    spend30dMinor: 0,
    spend90dMinor: 0,
    spend365dMinor: 0,
    meanDaysBetween: none,
    refundShare: 0,
    bonusEarnedMinor: 0,
    bonusSpentMinor: 0,
    stores: 0,
    transactions: 0,
    waiting: 0,
    flags: 0,
    rScore: none,
    fScore: none,
    mScore: none,
  }
}

/** Empties what is summed over entries; the rest follows from it. */
export function clearSums(out: Values): void {
  out.firstPurchaseAtMs = none
  out.lastPurchaseAtMs = none
  out.frequency = 0
  out.sales = 0
  out.monetaryGrossMinor = 0
  out.refundedMinor = 0
  out.purchases30d = 0
  out.purchases90d = 0
  out.purchases365d = 0
  out.spend30dMinor = 0
  out.spend90dMinor = 0
  out.spend365dMinor = 0
  out.bonusEarnedMinor = 0
  out.bonusSpentMinor = 0
  out.transactions = 0
  out.waiting = 0
  out.flags = 0
}
