import type { DeadLetterReason } from '#schemas/dead-letter.ts'
import { attemptOf, idOf, type Letter } from './letter.ts'

/** Letters that have reason, source and schema in common. */
export interface LetterGroup {
  readonly reason: DeadLetterReason
  /** Null where the value cannot be decoded. */
  readonly source: string | null
  readonly schemaId: number | null
  count: number
  /** How many of them came back from a replay. */
  cameBack: number
  firstArrivedMs: number
  lastArrivedMs: number
  /** The one that arrived last. */
  exampleId: string
  exampleDetail: string
}

export interface Grouping {
  /** Largest first. */
  readonly groups: readonly LetterGroup[]
  readonly total: number
  /** Letters beyond the most groups that are told apart. */
  readonly ungrouped: number
  /** Records among the dead letters that the platform did not write. */
  readonly unreadable: number
}

/** Sources are texts of others: who made up a new one each time must not fill the memory. */
const mostGroups = 1_000

export class Grouper {
  readonly #groups = new Map<string, LetterGroup>()
  #total = 0
  #ungrouped = 0
  unreadable = 0

  add(letter: Letter): void {
    const { about, summary } = letter
    const source = summary?.source ?? null
    this.#total++
    const name = JSON.stringify([about.reason, source, about.schemaId])
    const known = this.#groups.get(name)
    if (known !== undefined) {
      count(known, letter)
      return
    }
    if (this.#groups.size >= mostGroups) {
      this.#ungrouped++
      return
    }
    const group = {
      ...{ reason: about.reason, source, schemaId: about.schemaId, count: 0, cameBack: 0 },
      ...{
        firstArrivedMs: about.timestampMs,
        lastArrivedMs: Number.NEGATIVE_INFINITY,
        exampleId: '',
        exampleDetail: '',
      },
    }
    this.#groups.set(name, group)
    count(group, letter)
  }

  result(): Grouping {
    const groups = [...this.#groups]
      .sort(([one, a], [other, b]) => b.count - a.count || (one < other ? -1 : 1))
      .map(([, group]) => group)
    return { groups, total: this.#total, ungrouped: this.#ungrouped, unreadable: this.unreadable }
  }
}

function count(group: LetterGroup, letter: Letter): void {
  const { timestampMs, detail } = letter.about
  group.count++
  if (attemptOf(letter) > 1) group.cameBack++
  if (timestampMs < group.firstArrivedMs) group.firstArrivedMs = timestampMs
  if (timestampMs < group.lastArrivedMs) return
  group.lastArrivedMs = timestampMs
  group.exampleId = idOf(letter)
  group.exampleDetail = detail
}
