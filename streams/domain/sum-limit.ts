import { chunkSums } from './chunk-sums.ts'
import { amountAt, type Entry, earnedAt, entryWords, spentAt } from './entry.ts'
import type { Ledger } from './ledger.ts'
import { Kind } from './transaction.ts'

/**
 * Sums of a client are whole numbers that have to stay exact, so they may not pass 2^53. A ledger therefore takes in an
 * amount of 2^28 and more only while all its amounts, voided or not, stay within 2^52: whatever date they are summed up to
 * and whatever is voided later. The smaller ones, of which 2^24 fit into the other half, need not be looked at.
 */
const largestSumMinor = 2 ** 52
const smallMinor = 2 ** 28
const mostUnlooked = 2 ** 24

/** True where the sums of a client could become too large with this entry. */
export function exceedsSums(ledger: Ledger, entry: Entry): boolean {
  const { amountMinor, bonusEarnedMinor: earned, bonusSpentMinor: spent } = entry
  const isSmall = amountMinor < smallMinor && earned < smallMinor && spent < smallMinor
  if (isSmall && ledger.count + (ledger.past?.transactions ?? 0) < mostUnlooked) return false
  // It only takes back.
  if (entry.kind === Kind.void) return false
  const sums = amountsOf(ledger)
  return (
    sums.amounts + amountMinor > largestSumMinor ||
    sums.earned + earned > largestSumMinor ||
    sums.spent + spent > largestSumMinor
  )
}

/** All amounts of a ledger, none taken from another; of what was folded away the sums, which nothing changes any more. */
function amountsOf(ledger: Ledger): { amounts: number; earned: number; spent: number } {
  const { past } = ledger
  let amounts = past === null ? 0 : past.grossMinor + past.refundedMinor
  let earned = Math.abs(past?.bonusEarnedMinor ?? 0)
  let spent = Math.abs(past?.bonusSpentMinor ?? 0)
  const tail = ledger.regions - 1
  for (let index = 0; index < tail; index++) {
    const chunk = ledger.chunkAt(index)
    chunk.sums ??= chunkSums(chunk.words)
    const { sums } = chunk
    amounts += sums.grossMinor + sums.refundedMinor
    earned += sums.salesEarnedMinor + sums.refundsEarnedMinor
    spent += sums.salesSpentMinor + sums.refundsSpentMinor
  }
  const words = ledger.regionWords(tail)
  const start = ledger.regionAt(tail)
  for (let at = start, end = start + ledger.regionLength(tail) * entryWords; at < end; at += entryWords) {
    amounts += amountAt(words, at)
    earned += earnedAt(words, at)
    spent += spentAt(words, at)
  }
  return { amounts, earned, spent }
}
