import { isUtf8 } from 'node:buffer'
import { type Likelihood, likelihoodOf } from './russian.ts'

/** Whether text of one byte a letter is in the same encoding throughout, as files put together from several are not. */

/** Bytes above 127 without others between them, and how likely each of their readings is. */
export interface Word {
  readonly windows: Likelihood
  readonly koi: Likelihood
  /**
   * A capital letter and small ones behind it, in either reading. What is capitals in the one is small letters in the other:
   * ФГБУ or ФБ-12 are as unlikely as words in a wrong encoding, and say nothing.
   */
  readonly isName: boolean
}

/** A line that has words. */
export interface Line {
  /** Where its first word begins. */
  readonly at: number
  /** Words that are alike are one and the same object. */
  readonly words: Word[]
}

const capitalised = /^\p{Lu}\p{Ll}+$/u

export function linesOf(bytes: Buffer): Line[] {
  const windows = new TextDecoder('windows-1251').decode(bytes)
  const koi = new TextDecoder('koi8-r').decode(bytes)
  const known = new Map<string, Word>()
  const lines: Line[] = []
  let line: Line | null = null
  for (const { 0: found, index } of bytes.toString('latin1').matchAll(/[\x80-\xff]+|[\r\n]/g)) {
    if (found === '\n' || found === '\r') {
      line = null
      continue
    }
    let word = known.get(found)
    if (word === undefined) {
      const [inWindows, inKoi] = [windows, koi].map((text) => text.slice(index, index + found.length)) as [
        string,
        string,
      ]
      const isName = capitalised.test(inWindows) || capitalised.test(inKoi)
      word = { windows: likelihoodOf(inWindows), koi: likelihoodOf(inKoi), isName }
      known.set(found, word)
    }
    if (line === null) {
      line = { at: index, words: [] }
      lines.push(line)
    }
    line.words.push(word)
  }
  return lines
}

/**
 * Three Russian letters of UTF-8 in a row. In Windows-1251 they are a capital Р or С and a sign, thrice; in KOI8-R п or я
 * and a piece of a frame. One such pair occurs (`БАР»`, `БЕРЁЗА`), three in a row do not.
 */
const russianUtf8 = /(?:\xd0[\x90-\xbf]|\xd1[\x80-\x8f]){3}/

/** Where the first Russian word of UTF-8 stands; null where there is none. */
export function russianUtf8At(bytes: Buffer): number | null {
  const at = bytes.toString('latin1').search(russianUtf8)
  return at < 0 ? null : at
}

/** Where bytes that are no UTF-8 as a whole change from Russian UTF-8 to other text or back; null where they do not. */
export function changeOfUtf8(bytes: Buffer): number | null {
  const utf8At = russianUtf8At(bytes)
  if (utf8At === null) return null
  for (const { 0: word, index } of bytes.toString('latin1').matchAll(/[\x80-\xff]+/g))
    if (!isUtf8(bytes.subarray(index, index + word.length))) return Math.max(utf8At, index)
  return null
}

/**
 * By so much, as a logarithm, all names of a part are likelier in the one encoding. Of 146,000 words of a dictionary of
 * Russian, with a capital letter, no one is likelier by that in the encoding that it is not in.
 */
const leastLead = 8
/** By so much a name is likelier on average; Russian ones by about ten, any letters by nothing. */
const leastLeadOfWord = 3

/** Where lines of Windows-1251 are followed by lines of KOI8-R, or the other way round; null where that is not clear. */
export function changeOfLetters(lines: readonly Line[]): number | null {
  const before = leadsOf(lines)
  const after = leadsOf(lines.toReversed()).toReversed()
  let best: number | null = null
  let most = 0
  for (let next = 1; next < lines.length; next++) {
    const difference = Math.abs(before[next - 1]!.lead - after[next]!.lead)
    if (difference > most) [best, most] = [next, difference]
  }
  if (best === null) return null
  const [one, other] = [before[best - 1]!, after[best]!]
  return isClear(one) && isClear(other) && one.lead > 0 !== other.lead > 0 ? lines[best]!.at : null
}

interface Lead {
  /** Of Windows-1251 before KOI8-R, in the names that differ. */
  readonly lead: number
  readonly words: number
}

/** Of the lines up to each. */
function leadsOf(lines: readonly Line[]): Lead[] {
  const seen = new Set<Word>()
  let lead = 0
  return lines.map(({ words }) => {
    for (const word of words) {
      if (!word.isName || seen.has(word)) continue
      seen.add(word)
      lead += word.windows.score - word.koi.score
    }
    return { lead, words: seen.size }
  })
}

function isClear({ lead, words }: Lead): boolean {
  return Math.abs(lead) >= Math.max(leastLead, words * leastLeadOfWord)
}
