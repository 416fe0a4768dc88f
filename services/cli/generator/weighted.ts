import type { Random } from './random.ts'

/** Draws indices in proportion to weights in constant time (alias method, Vose 1991). */
export class Weighted {
  readonly #keep: Float64Array
  readonly #alias: Uint32Array

  constructor(weights: Float64Array) {
    const count = weights.length
    const mean = weights.reduce((sum, weight) => sum + weight, 0) / count
    this.#keep = weights.map((weight) => weight / mean)
    this.#alias = Uint32Array.from({ length: count }, (_, i) => i)
    const small: number[] = []
    const large: number[] = []
    this.#keep.forEach((share, i) => {
      if (share < 1) small.push(i)
      else large.push(i)
    })
    while (small.length > 0 && large.length > 0) {
      const poor = small.pop()!
      const rich = large.at(-1)!
      this.#alias[poor] = rich
      this.#keep[rich]! -= 1 - this.#keep[poor]!
      if (this.#keep[rich]! >= 1) continue
      large.pop()
      small.push(rich)
    }
    // What is left is 1 but for rounding.
    for (const i of [...small, ...large]) this.#keep[i] = 1
  }

  draw(random: Pick<Random, 'fraction'>): number {
    const at = random.fraction() * this.#keep.length
    const index = Math.floor(at)
    return at - index < this.#keep[index]! ? index : this.#alias[index]!
  }
}

/** Weights of Zipf's law: rank r (from 1) gets r^−exponent. */
export function zipfWeights(count: number, exponent: number): Float64Array {
  return Float64Array.from({ length: count }, (_, rank) => (rank + 1) ** -exponent)
}
