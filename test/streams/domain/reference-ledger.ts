import { type Hash64, hash64, hex64 } from '#streams/domain/hash.ts'
import type { CutPoints } from '#streams/domain/scoring.ts'
import { Kind, type Transaction } from '#streams/domain/transaction.ts'
import type { Values } from '#streams/domain/values.ts'

export type Contribution = { count: number; gross: number; net: number }

/** The rules of the ledger in the plainest words there are: a map of transactions, everything computed anew each time. */
export class ReferenceLedger {
  readonly #known = new Map<string, Transaction>()

  apply(transaction: Transaction): 'accepted' | 'duplicate' | 'conflicting_duplicate' {
    const known = this.#known.get(transaction.transactionId)
    if (known !== undefined)
      return JSON.stringify(known) === JSON.stringify(transaction) ? 'duplicate' : 'conflicting_duplicate'
    this.#known.set(transaction.transactionId, transaction)
    return 'accepted'
  }

  /** What each transaction counts for, by id, among all that are known. */
  contributions(): Map<string, Contribution> {
    return this.#settle([...this.#known.values()]).contributions
  }

  /** `dayOf` is the programme's calendar; `date` null stands for before the first date. */
  values(dayOf: (ms: number) => number, date: number | null, cuts: CutPoints | null): Values {
    const seen = [...this.#known.values()].filter(({ occurredAtMs }) => date === null || dayOf(occurredAtMs) <= date)
    const { contributions, standing, refundsInEffect, waiting, flags } = this.#settle(seen)
    const sales = standing.filter(({ kind }) => kind === Kind.sale)
    const counted = sales.filter(({ transactionId }) => contributions.get(transactionId)!.count === 1)
    const times = counted.map(({ occurredAtMs }) => occurredAtMs).sort((a, b) => a - b)
    const first = times[0] ?? -1
    const last = times.at(-1) ?? -1
    const gross = sum(sales, ({ amountMinor }) => amountMinor)
    const net = sum([...contributions.values()], (contribution) => contribution.net)
    const within = (days: number) => (transaction: Transaction) =>
      date !== null && dayOf(transaction.occurredAtMs) > date - days
    const recency = times.length === 0 || date === null ? -1 : date - dayOf(last)
    const scored = cuts !== null && recency >= 0
    const below = (list: readonly number[], value: number) => list.filter((cut) => cut < value).length
    return {
      firstPurchaseAtMs: first,
      lastPurchaseAtMs: last,
      firstPurchaseDay: first < 0 ? -1 : dayOf(first),
      lastPurchaseDay: last < 0 ? -1 : dayOf(last),
      recencyDays: recency,
      frequency: counted.length,
      sales: sales.length,
      monetaryGrossMinor: gross,
      monetaryNetMinor: net,
      refundedMinor: gross - net,
      meanReceiptMinor: sales.length === 0 ? 0 : gross / sales.length,
      purchases30d: counted.filter(within(30)).length,
      purchases90d: counted.filter(within(90)).length,
      purchases365d: counted.filter(within(365)).length,
      spend30dMinor: sum(sales.filter(within(30)), ({ amountMinor }) => amountMinor),
      spend90dMinor: sum(sales.filter(within(90)), ({ amountMinor }) => amountMinor),
      spend365dMinor: sum(sales.filter(within(365)), ({ amountMinor }) => amountMinor),
      meanDaysBetween: counted.length < 2 ? -1 : (dayOf(last) - dayOf(first)) / (counted.length - 1),
      refundShare: gross === 0 ? 0 : (gross - net) / gross,
      bonusEarnedMinor:
        sum(sales, ({ bonusEarnedMinor }) => bonusEarnedMinor) -
        sum(refundsInEffect, ({ bonusEarnedMinor }) => bonusEarnedMinor),
      bonusSpentMinor:
        sum(sales, ({ bonusSpentMinor }) => bonusSpentMinor) -
        sum(refundsInEffect, ({ bonusSpentMinor }) => bonusSpentMinor),
      stores: new Set(counted.map(({ storeId }) => storeId).filter((store) => store !== null)).size,
      transactions: seen.length,
      waiting,
      flags,
      rScore: scored ? cuts.recencyDays.length + 1 - below(cuts.recencyDays, recency) : -1,
      fScore: scored ? 1 + below(cuts.frequency, counted.length) : -1,
      mScore: scored ? 1 + below(cuts.monetaryMinor, cuts.basis === 'net' ? net : gross) : -1,
    }
  }

  #settle(seen: Transaction[]) {
    const byId = new Map(seen.map((transaction) => [transaction.transactionId, transaction]))
    const originalOf = ({ kind, originalTransactionId: id }: Transaction) =>
      kind === Kind.sale || id === null ? null : (byId.get(id) ?? 'missing')
    const contributions = new Map<string, Contribution>()
    for (const { transactionId } of seen) contributions.set(transactionId, { count: 0, gross: 0, net: 0 })
    let waiting = 0
    let flags = 0
    const voided = new Set<string>()
    for (const transaction of seen.filter(({ kind }) => kind === Kind.void)) {
      const original = originalOf(transaction)
      if (original === 'missing' || original === null) waiting++
      else if (original.kind === Kind.void) flags |= 2
      else voided.add(original.transactionId)
    }
    const standing = seen.filter(({ transactionId, kind }) => kind !== Kind.void && !voided.has(transactionId))
    for (const { kind, transactionId, amountMinor } of standing)
      if (kind === Kind.sale) contributions.set(transactionId, { count: 1, gross: amountMinor, net: amountMinor })
    const refunds = standing
      .filter(({ kind }) => kind === Kind.refund)
      .sort((a, b) => a.occurredAtMs - b.occurredAtMs || (keyOf(a) < keyOf(b) ? -1 : 1))
    const refundsInEffect: Transaction[] = []
    const refunded = new Map<string, number>()
    for (const refund of refunds) {
      const original = originalOf(refund)
      if (original === 'missing') waiting++
      else if (original !== null && original.kind !== Kind.sale) flags |= 2
      else if (original === null) {
        contributions.set(refund.transactionId, { count: 0, gross: 0, net: 0 - refund.amountMinor })
        refundsInEffect.push(refund)
      } else if (!voided.has(original.transactionId)) {
        const id = original.transactionId
        const before = refunded.get(id) ?? 0
        const after = Math.min(original.amountMinor, before + refund.amountMinor)
        if (before + refund.amountMinor > original.amountMinor) flags |= 1
        refunded.set(id, after)
        contributions.set(refund.transactionId, { count: 0, gross: 0, net: before - after })
        if (after === original.amountMinor) contributions.get(id)!.count = 0
        refundsInEffect.push(refund)
      }
    }
    return { contributions, standing, refundsInEffect, waiting, flags }
  }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

function keyOf({ transactionId }: Transaction): string {
  const hash: Hash64 = { hi: 0, lo: 0 }
  hash64(transactionId, hash)
  return hex64(hash)
}
