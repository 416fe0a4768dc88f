import { LetterReader } from './letter.ts'
import { type KnownLetter, type LetterState, letterBounds, type ScanDeps, scanLetters, stateOf } from './scan.ts'
import { type LetterFilter, matcherOf, rangesOf } from './selector.ts'

export interface PageOptions {
  readonly filter: LetterFilter
  /** Null: any. */
  readonly state: LetterState | null
  readonly limit: number
  /** Where the page before ended; null for the first one. */
  readonly before: readonly number[] | null
}

export interface LetterPage {
  readonly letters: readonly KnownLetter[]
  /** For the next page: in each partition the letters below these offsets; null where there are none. */
  readonly next: readonly number[] | null
}

/** Letters looked at together, from the end of a partition backwards. */
const window = 1_000

/** The newest letters, a page of them: of each partition the last ones, put together by the time of their arrival. */
export async function newestLetters(deps: ScanDeps, options: PageOptions): Promise<LetterPage> {
  const { starts, ends } = await letterBounds(deps)
  const below = ends.map((end, partition) => Math.min(end, options.before?.[partition] ?? end))
  const tails = await Promise.all(rangesOf(options.filter, starts, below).map((range) => tailOf(deps, range, options)))
  const letters: KnownLetter[] = []
  while (letters.length < options.limit) {
    const newest = tails.reduce<KnownLetter[] | null>((best, tail) => (isNewer(tail, best) ? tail : best), null)
    if (newest === null) break
    letters.push(newest.shift()!)
  }
  if (tails.every((tail) => tail.length === 0)) return { letters, next: null }
  const next = [...below]
  for (const { partition, offset } of letters) next[partition] = offset
  return { letters, next }
}

function isNewer(tail: readonly KnownLetter[], best: readonly KnownLetter[] | null): boolean {
  const head = tail[0]
  if (head === undefined) return false
  return best === null || head.about.timestampMs > best[0]!.about.timestampMs
}

/** One letter more than a page holds, newest first, so that it is known whether there is a next page. */
async function tailOf(
  deps: ScanDeps,
  { partition, from, to }: { partition: number; from: number; to: number },
  { filter, state, limit }: PageOptions,
): Promise<KnownLetter[]> {
  const matches = matcherOf(filter)
  const reader = new LetterReader(deps.registry)
  const tail: KnownLetter[] = []
  for (let end = to; end > from && tail.length <= limit; end -= window) {
    const found: KnownLetter[] = []
    const range = { partition, from: Math.max(from, end - window), to: end }
    for await (const { letters } of scanLetters(deps, range, reader))
      for (const letter of letters)
        if (matches(letter) && (state === null || stateOf(letter) === state)) found.push(kept(letter))
    tail.push(...found.reverse())
  }
  return tail.slice(0, limit + 1)
}

/** A letter without its value, which would keep the whole fetch that it came in. */
function kept(letter: KnownLetter): KnownLetter {
  return { ...letter, key: letter.key && Uint8Array.from(letter.key), value: null }
}
