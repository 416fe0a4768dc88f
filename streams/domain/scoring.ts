/** Cut-points of the three scores, each ascending; k cuts make the levels 1 … k + 1. */
export interface CutPoints {
  readonly recencyDays: readonly number[]
  readonly frequency: readonly number[]
  readonly monetaryMinor: readonly number[]
  /** Which monetary sum the M cuts apply to. */
  readonly basis: MonetaryBasis
}

export type MonetaryBasis = 'net' | 'gross'

/** Score of a value of which more is better (F, M): 1 + the number of cuts below it. */
export function ascendingScore(cuts: readonly number[], value: number): number {
  return 1 + cutsBelow(cuts, value)
}

/** Score of a value of which less is better (R): k + 1 - the number of cuts below it. */
export function descendingScore(cuts: readonly number[], value: number): number {
  return cuts.length + 1 - cutsBelow(cuts, value)
}

function cutsBelow(cuts: readonly number[], value: number): number {
  let below = 0
  for (let i = 0; i < cuts.length; i++) if (cuts[i]! < value) below++
  return below
}

/** The three scores as text: `545`, or `10-4-5` where a score has two digits. */
export function rfmText(r: number, f: number, m: number): string {
  return r > 9 || f > 9 || m > 9 ? `${r}-${f}-${m}` : String(r * 100 + f * 10 + m)
}

/** Cuts that part `values` (all of them, in any order) into five levels of about the same size. */
export function quintileCuts(values: Float64Array): number[] {
  return [0.2, 0.4, 0.6, 0.8].map(quantileOf(values))
}

/**
 * Answers the exact quantile at a level: the element at index floor(level · n) of the sorted values, as ClickHouse's
 * `quantileExact` does. Errors: RangeError where there are no values.
 */
export function quantileOf(values: Float64Array): (level: number) => number {
  if (values.length === 0) throw new RangeError('a quantile needs at least one value')
  const sorted = Float64Array.from(values).sort()
  return (level) => sorted[Math.min(sorted.length - 1, Math.floor(level * sorted.length))]!
}

/** Null where the cuts can be published, otherwise what is wrong with them. */
export function cutPointsFault({ recencyDays, frequency, monetaryMinor }: CutPoints): string | null {
  const named = { recencyDays, frequency, monetaryMinor }
  for (const [name, cuts] of Object.entries(named)) {
    if (!cuts.every(Number.isSafeInteger)) return `${name}: every cut is a whole number`
    if (cuts.some((cut, i) => i > 0 && cut < cuts[i - 1]!)) return `${name}: cuts ascend`
  }
  return null
}
