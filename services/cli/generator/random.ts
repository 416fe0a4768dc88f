/** Seeded random numbers (sfc32, public domain, by Chris Doty-Humphrey). Equal seeds give equal sequences everywhere. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.#a = 0x9e3779b9
    this.#b = 0x243f6a88
    this.#c = seed | 0
    for (let i = 0; i < 15; i++) this.word()
  }

  /** 32 random bits as a number from 0 to 2^32 − 1. */
  word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** From 0 up to, but without, 1. */
  fraction(): number {
    return this.word() / 4_294_967_296
  }

  /** A whole number from 0 up to, but without, `below`. */
  below(below: number): number {
    return Math.floor((this.word() / 4_294_967_296) * below)
  }

  /** Nearly normal, mean 0, deviation 1: sum of four uniform numbers, never beyond ±3.47. */
  normal(): number {
    const sum = this.word() + this.word() + this.word() + this.word()
    return (sum / 4_294_967_296 - 2) * 1.7320508075688772
  }
}
