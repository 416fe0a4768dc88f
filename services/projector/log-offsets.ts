import type { Log } from '#streams/log/log.ts'
import type { PartitionOffset } from './feed.ts'

/** What reads for a projection: where it goes on, per partition. */
interface Reading {
  readonly positions: readonly PartitionOffset[]
}

/**
 * Tells the log how far a projection has applied its topics: as offsets of the group `<topic>-<projection>`. They are for
 * the log's compaction, which must not take a tombstone away from a reader that has seen what it erases, and for lag
 * tooling. The truth is in projector.projection_offset. While a rebuild reads beside the projection it is the lower of the
 * two, so a rebuild holds compaction back as well, and one that breaks off leaves nothing behind that would.
 */
export class LogOffsets {
  readonly #log: Log
  readonly #projection: string
  readonly #readings = new Set<Reading>()
  readonly #told = new Map<string, number>()
  #last: Promise<void> = Promise.resolve()

  constructor(log: Log, projection: string) {
    this.#log = log
    this.#projection = projection
  }

  /**
   * Resolves when the log knows where a reader begins; it may read then. `remove` it when it reads no more.
   * Errors: those of the log.
   */
  async add(reading: Reading): Promise<void> {
    this.#readings.add(reading)
    try {
      await this.tell()
    } catch (error) {
      this.#readings.delete(reading)
      throw error
    }
  }

  remove(reading: Reading): void {
    this.#readings.delete(reading)
  }

  /** Tells what has changed. Calls come one after the other. Errors: those of the log. */
  tell(): Promise<void> {
    const mine = this.#last.then(() => this.#tell())
    this.#last = mine.catch(() => {})
    return mine
  }

  async #tell(): Promise<void> {
    for (const [topic, offsets] of this.#changed()) {
      await this.#log.admin.setGroupOffsets({ group: `${topic}-${this.#projection}`, topic, offsets })
      for (const [partition, offset] of offsets) this.#told.set(`${topic}/${partition}`, offset)
    }
  }

  #changed(): Map<string, Map<number, number>> {
    const lowest = new Map<string, Map<number, number>>()
    for (const { positions } of this.#readings)
      for (const { topic, partition, nextOffset } of positions) {
        const offsets = lowest.get(topic) ?? new Map<number, number>()
        offsets.set(partition, Math.min(nextOffset, offsets.get(partition) ?? nextOffset))
        lowest.set(topic, offsets)
      }
    for (const [topic, offsets] of lowest)
      for (const [partition, offset] of offsets)
        if (this.#told.get(`${topic}/${partition}`) === offset) offsets.delete(partition)
    return new Map([...lowest].filter(([, offsets]) => offsets.size > 0))
  }
}
