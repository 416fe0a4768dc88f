/** So many letters may be wrong, missing, too many, or in the place of their neighbours. */
const mostSlips = 3

/** The name that differs least from `name`, or null where each differs by too much to have been meant. */
export function nearestName(name: string, names: readonly string[]): string | null {
  let nearest: string | null = null
  let least = Math.min(mostSlips, name.length >> 2) + 1
  for (const candidate of names) {
    const slips = distance(name, candidate)
    if (slips >= least) continue
    nearest = candidate
    least = slips
  }
  return nearest
}

/** Damerau and Levenshtein's distance, neighbours exchanged once at most (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1)
      next.push(least)
    }
    before = row
    row = next
  }
  return row[b.length]!
}
