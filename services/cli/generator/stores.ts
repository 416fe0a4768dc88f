import { Random } from './random.ts'
import { Weighted, zipfWeights } from './weighted.ts'

/** How much smaller the next store is: the tenth has a sixth of the trade of the first. */
const sizeExponent = 0.8
const mostTills = 12
/** Share of purchases that are made away from the store next door. */
const awayShare = 0.2

/** Stores of different sizes, the first the largest; each client has one next door. */
export class Stores {
  readonly #sizes: Weighted
  readonly #ids: string[]
  readonly #tills: Uint8Array
  /** By client. */
  readonly #nextDoor: Uint16Array

  constructor(stores: number, clients: number, seed: number) {
    const weights = zipfWeights(stores, sizeExponent)
    this.#sizes = new Weighted(weights)
    this.#ids = Array.from({ length: stores }, (_, store) => `store-${String(store + 1).padStart(3, '0')}`)
    this.#tills = Uint8Array.from(weights, (weight) => Math.ceil((mostTills * weight) / weights[0]!))
    // Of its own, so that who lives where does not depend on what is bought.
    const random = new Random(seed ^ 0x5703e5)
    this.#nextDoor = Uint16Array.from({ length: clients }, () => this.#sizes.draw(random))
  }

  visitedBy(client: number, random: Random): number {
    return random.fraction() < awayShare ? this.#sizes.draw(random) : this.#nextDoor[client]!
  }

  idOf(store: number): string {
    return this.#ids[store]!
  }

  /** The till that rings up the receipt with this number. */
  tillOf(store: number, number: number): string {
    return `${this.#ids[store]!}/${1 + (number % this.#tills[store]!)}`
  }
}
