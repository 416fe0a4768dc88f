/** What transactions, ledgers or clients count for. */
export interface Sum {
  readonly count: number
  readonly gross: number
  readonly net: number
}

export const nothing: Sum = { count: 0, gross: 0, net: 0 }

export type Sums = Map<string, Sum>

export function add(sums: Sums, key: string, { count, gross, net }: Sum): void {
  const sum = sums.get(key) ?? nothing
  sums.set(key, { count: sum.count + count, gross: sum.gross + gross, net: sum.net + net })
}

/** Without those that count for nothing, in key order: what is to be compared. */
export function settled(sums: Sums): Sums {
  const counting = [...sums].filter(([, { count, gross, net }]) => count !== 0 || gross !== 0 || net !== 0)
  return new Map(counting.sort(([a], [b]) => (a < b ? -1 : 1)))
}

export function total(sums: Sums): Sum {
  const all: Sums = new Map()
  for (const sum of sums.values()) add(all, '', sum)
  return all.get('') ?? nothing
}

/** Records of one upload batch by what became of them. */
export interface BatchTally {
  accepted: number
  duplicates: number
  dead: number
}

export function tallyOf(batches: Map<string, BatchTally>, batchId: string): BatchTally {
  let tally = batches.get(batchId)
  if (tally === undefined) {
    tally = { accepted: 0, duplicates: 0, dead: 0 }
    batches.set(batchId, tally)
  }
  return tally
}
