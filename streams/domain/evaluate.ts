import type { AsOf, Context } from './context.ts'
import { entryWords } from './entry.ts'
import { scanWithReferences } from './evaluate-references.ts'
import { addToWindows } from './evaluate-windows.ts'
import type { Ledger } from './ledger.ts'
import type { Past } from './past.ts'
import { ascendingScore, descendingScore } from './scoring.ts'
import { StoreSet } from './store-set.ts'
import { Kind } from './transaction.ts'
import { Flag, none, type Values } from './values.ts'

const stores = new StoreSet()
const two32 = 4_294_967_296

/**
 * The values of a client as of the context's date: fills `out`. Only entries count whose day has come; where there is no
 * date yet, all of them. Nothing is kept and, without references among the entries, nothing is allocated.
 */
export function evaluate(ledger: Ledger, context: Context, out: Values): void {
  sumUp(ledger, context.asOf, out)
  const { date } = context.asOf
  out.monetaryNetMinor = out.monetaryGrossMinor - out.refundedMinor
  out.meanReceiptMinor = out.sales === 0 ? 0 : out.monetaryGrossMinor / out.sales
  out.refundShare = out.monetaryGrossMinor === 0 ? 0 : out.refundedMinor / out.monetaryGrossMinor
  out.stores = stores.size
  if (out.frequency === 0) {
    out.firstPurchaseDay = none
    out.lastPurchaseDay = none
    out.recencyDays = none
    out.meanDaysBetween = none
  } else {
    const { calendar } = context
    const first = calendar.dayOf(out.firstPurchaseAtMs)
    const last = calendar.dayOf(out.lastPurchaseAtMs)
    out.firstPurchaseDay = first
    out.lastPurchaseDay = last
    out.recencyDays = date === null ? none : date - last
    out.meanDaysBetween = out.frequency < 2 ? none : (last - first) / (out.frequency - 1)
  }
  score(context, out)
}

function score({ cutPoints, asOf }: Context, out: Values): void {
  if (cutPoints === null || asOf.date === null || out.frequency === 0) {
    out.rScore = none
    out.fScore = none
    out.mScore = none
    return
  }
  const monetary = cutPoints.basis === 'net' ? out.monetaryNetMinor : out.monetaryGrossMinor
  out.rScore = descendingScore(cutPoints.recencyDays, out.recencyDays)
  out.fScore = ascendingScore(cutPoints.frequency, out.frequency)
  out.mScore = ascendingScore(cutPoints.monetaryMinor, monetary)
}

/** The sums of a ledger's entries; what follows from them is not filled. Answers the stores, valid until the next call. */
export function sumUp(ledger: Ledger, asOf: AsOf, out: Values): StoreSet {
  clear(out)
  stores.clear()
  const { past } = ledger
  if (past !== null) addPast(past, asOf, out)
  if (ledger.hasReferences) scanWithReferences(ledger, asOf, stores, out)
  else
    for (let region = 0; region < ledger.regions; region++)
      scan(ledger.regionWords(region), ledger.regionAt(region), ledger.regionLength(region), asOf, out)
  return stores
}

function clear(out: Values): void {
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

function addPast(past: Past, asOf: AsOf, out: Values): void {
  out.firstPurchaseAtMs = past.firstPurchaseAtMs
  out.lastPurchaseAtMs = past.lastPurchaseAtMs
  out.frequency = past.frequency
  out.sales = past.sales
  out.monetaryGrossMinor = past.grossMinor
  out.refundedMinor = past.refundedMinor
  out.bonusEarnedMinor = past.bonusEarnedMinor
  out.bonusSpentMinor = past.bonusSpentMinor
  out.transactions = past.transactions
  out.waiting = past.waiting
  out.flags = past.flags
  if (asOf.date !== null && past.horizonMs >= asOf.from365Ms) out.flags |= Flag.windowsCut
  for (const store of past.stores) stores.add(store)
}

/** Entries that refer to nothing: every sale counts and every refund is without an original. */
function scan(words: Uint32Array, start: number, length: number, asOf: AsOf, out: Values): void {
  const { endMs, from30Ms, from90Ms, from365Ms } = asOf
  let { frequency, refundedMinor: refunded, monetaryGrossMinor: gross, transactions } = out
  let { firstPurchaseAtMs: first, lastPurchaseAtMs: last, bonusEarnedMinor: earned, bonusSpentMinor: spent } = out
  let sales = out.sales
  for (let at = start, end = start + length * entryWords; at < end; at += entryWords) {
    const highs = words[at + 7]!
    const time = (highs >>> 21) * two32 + words[at + 6]!
    if (time >= endMs) continue
    const amount = (highs & 0x1fffff) * two32 + words[at + 8]!
    const kindAndBonus = words[at + 9]!
    const bonusEarned = ((kindAndBonus >>> 15) & 0x7fff) * two32 + words[at + 10]!
    const bonusSpent = (kindAndBonus & 0x7fff) * two32 + words[at + 11]!
    transactions++
    if (kindAndBonus >>> 30 !== Kind.sale) {
      refunded += amount
      earned -= bonusEarned
      spent -= bonusSpent
      continue
    }
    frequency++
    sales++
    gross += amount
    earned += bonusEarned
    spent += bonusSpent
    if (time > last) last = time
    if (time < first || first === none) first = time
    const store = words[at + 5]!
    if (store !== 0) stores.add(store)
    if (time >= from365Ms) addToWindows(time, amount, 1, from30Ms, from90Ms, out)
  }
  out.frequency = frequency
  out.sales = sales
  out.refundedMinor = refunded
  out.monetaryGrossMinor = gross
  out.transactions = transactions
  out.firstPurchaseAtMs = first
  out.lastPurchaseAtMs = last
  out.bonusEarnedMinor = earned
  out.bonusSpentMinor = spent
}
