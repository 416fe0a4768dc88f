/**
 * What comes in force of a receipt in place of content that is taken back, as candidates of one receipt after the other are
 * shown in the order of the log: of those who stand
 *
 * 1. the content that was in force before it was replaced, the newest such first;
 * 2. else what came first: it was refused as a conflict with what is taken back now.
 */
export class Successors {
  /** Content in force by number of the receipt and generation, of receipts whose generation is not their first. */
  readonly #inForce = new Map<number, Map<number, number>>()
  readonly #best = new Map<number, { readonly rank: number; readonly offset: number }>()

  forget(): void {
    this.#inForce.clear()
    this.#best.clear()
  }

  /** A record of an earlier generation of a receipt. */
  earlier(item: number, generation: number, content: number, offset: number, stands: boolean): void {
    const contents = this.#inForce.get(item) ?? new Map<number, number>()
    this.#inForce.set(item, contents)
    if (!contents.has(generation)) contents.set(generation, content)
    if (stands) this.#offer(item, contents.get(generation) === content ? generation + 1 : 0, offset)
  }

  /** A record of the generation of now, with other content than that in force, of somebody who stands. */
  conflicting(item: number, offset: number): void {
    this.#offer(item, 0, offset)
  }

  /** Offset of the record, -1 where there is none. */
  of(item: number): number {
    return this.#best.get(item)?.offset ?? -1
  }

  #offer(item: number, rank: number, offset: number): void {
    const best = this.#best.get(item)
    if (best === undefined || rank > best.rank) this.#best.set(item, { rank, offset })
  }
}
