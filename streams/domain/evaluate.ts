import { addRefundsOf, addSalesOf, chunkSums, isUniform } from './chunk-sums.ts'
import type { AsOf, Context } from './context.ts'
import { scanWithReferences } from './evaluate-references.ts'
import { chunkEntries } from './id-index.ts'
import type { Ledger } from './ledger.ts'
import type { Chunk } from './packed-entries.ts'
import type { Past } from './past.ts'
import { scan } from './scan.ts'
import { ascendingScore, descendingScore } from './scoring.ts'
import { StoreSet } from './store-set.ts'
import { clearSums, Flag, none, type Values } from './values.ts'

const stores = new StoreSet()

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
  clearSums(out)
  stores.clear()
  const { past } = ledger
  if (past !== null) addPast(past, asOf, out)
  if (ledger.hasReferences) scanWithReferences(ledger, asOf, stores, out)
  else {
    const tail = ledger.regions - 1
    for (let index = 0; index < tail; index++) addFullChunk(ledger.chunkAt(index), asOf, out)
    scan(ledger.regionWords(tail), ledger.regionAt(tail), ledger.regionLength(tail), asOf, stores, out)
  }
  return stores
}

function addFullChunk(chunk: Chunk, asOf: AsOf, out: Values): void {
  chunk.sums ??= chunkSums(chunk.words)
  if (isUniform(chunk.sums, asOf)) {
    addSalesOf(chunk.sums, asOf, stores, out)
    addRefundsOf(chunk.sums, out)
  } else if (chunk.sums.oldestMs < asOf.endMs) scan(chunk.words, 0, chunkEntries, asOf, stores, out)
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
  stores.addAll(past.stores)
}
