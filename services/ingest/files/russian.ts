/** How likely it is that a word is Russian, by the letters and their order. */

/** Letters of Russian per thousand; those of its neighbours in Windows-1251 are as rare as the rarest. */
const frequencies: Readonly<Record<string, number>> = Object.fromEntries(
  'о110 е85 а80 и74 н67 т63 с55 р47 в45 л44 к35 м32 д30 п28 у26 я20 ы19 ь17 г17 з16 б16 ч14 й12 х10 ж9 ш7 ю6 ц5 щ4 э3 ф3 ё1 ъ1 і3 ї1 є1 ґ1 ў1'
    .split(' ')
    .map((entry) => [entry[0]!, Number(entry.slice(1)) / 1_000]),
)
const signs = new Set('\u00a0№«»–—“”„’‘…°±©®™•§€²³×·')
const signLog = Math.log(0.005)
const oddLog = Math.log(0.000_1)
/** A small letter before a capital one inside a word. */
const flipLog = Math.log(0.001)
const vowels = new Set('аеёиоуыэюяіїє')
/**
 * What follows a vowel, a consonant, two of them or more: a vowel, or a consonant. The letters of one encoding are in the
 * other as frequent, but not in such an order.
 */
const followingLog = [
  { vowel: Math.log(0.15), consonant: Math.log(0.85) },
  { vowel: Math.log(0.6), consonant: Math.log(0.4) },
  { vowel: Math.log(0.85), consonant: Math.log(0.15) },
] as const

export interface Likelihood {
  readonly score: number
  readonly letters: number
  /** Letters that stand beside no other such letter. */
  readonly lone: number
  readonly signs: number
  /** Characters that texts of the encoding hardly have. */
  readonly odd: number
}

/** Of one word: characters above 127 with nothing else between them. */
export function likelihoodOf(word: string): Likelihood {
  let [score, letters, lone, signCount, odd] = [orderScore(word), 0, 0, 0, 0]
  for (let at = 0; at < word.length; at++) {
    const char = word[at]!
    const small = char.toLowerCase()
    const frequency = frequencies[small]
    if (frequency !== undefined) {
      letters++
      score += Math.log(frequency)
      const before = word[at - 1] ?? ' '
      if (char !== small && before in frequencies) score += flipLog
      if (isLone(before, word[at + 1] ?? ' ')) lone++
    } else if (signs.has(char)) {
      signCount++
      score += signLog
    } else {
      odd++
      score += oddLog
    }
  }
  return { score, letters, lone, signs: signCount, odd }
}

function orderScore(word: string): number {
  let score = 0
  /** Consonants just before; null where no letter is. */
  let consonants: number | null = null
  for (const char of word.toLowerCase()) {
    if (!(char in frequencies)) consonants = null
    // Signs that soften or part sounds are none.
    else if (char !== 'ь' && char !== 'ъ') {
      const kind = vowels.has(char) ? 'vowel' : 'consonant'
      if (consonants !== null) score += followingLog[Math.min(2, consonants) as 0 | 1 | 2][kind]
      consonants = kind === 'vowel' ? 0 : (consonants ?? 0) + 1
    }
  }
  return score
}

function isLone(before: string, after: string): boolean {
  return !(before.toLowerCase() in frequencies || after.toLowerCase() in frequencies)
}
