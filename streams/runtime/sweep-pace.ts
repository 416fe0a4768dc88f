/** Traffic is live for so long after a record. */
const liveForMs = 2_000
/** More records of a partition within that time are no tills' but a file's, whose sender waits for the sweep as well. */
const mostLive = 8_000
/** Clients per slice beside live traffic: as many as a purchase may have to wait for. */
const liveSlice = 500
/** Beside live traffic a sweep rests this many times as long as its slice took, for the sake of everything downstream too. */
const restPerSlice = 2

/**
 * How fast a sweep goes: as fast as it can where nothing else is to be done; in small slices with rests between them while
 * tills send transactions, since their clients' rows stand behind the swept ones in every queue from here to the databases.
 */
export class SweepPace {
  readonly #slice: number
  #liveAt = Number.NEGATIVE_INFINITY
  #restUntil = 0
  /** Records of this span of `liveForMs`, and of the one before it. */
  #spanAt = Number.NEGATIVE_INFINITY
  #records = 0
  #before = 0

  /** `slice`: most clients of a slice. */
  constructor(slice: number) {
    this.#slice = slice
  }

  /** Most clients of a slice that is taken now. */
  get slice(): number {
    return this.#live ? Math.min(this.#slice, liveSlice) : this.#slice
  }

  /** Milliseconds until the next slice may be taken, 0 for now. */
  get waitMs(): number {
    return this.#live ? Math.max(0, this.#restUntil - performance.now()) : 0
  }

  /** A step of `ms` was committed, with so many records; `swept` where it took a slice. */
  stepped(records: number, swept: boolean, ms: number): void {
    const now = performance.now()
    if (records > 0) this.#came(records, now)
    if (swept) this.#restUntil = now + restPerSlice * ms
  }

  #came(records: number, now: number): void {
    const spans = Math.floor((now - this.#spanAt) / liveForMs)
    if (spans > 0) {
      this.#before = spans === 1 ? this.#records : 0
      this.#records = 0
      this.#spanAt = now
    }
    this.#records += records
    if (this.#before + this.#records <= mostLive) this.#liveAt = now
  }

  get #live(): boolean {
    return performance.now() - this.#liveAt < liveForMs
  }
}
