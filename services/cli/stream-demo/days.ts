import { randomUUID } from 'node:crypto'
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decoderOf } from '#schemas/decoder.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Calendar } from '#streams/domain/calendar.ts'
import type { FileProfile } from '../../ingest/profile.ts'
import { eventsIn, prepareReceipts } from '../../ingest/receipts/prepare.ts'
import { readEvents } from '../../ingest/receipts/prepared-events.ts'

export interface DaysOptions {
  readonly path: string
  readonly profile: FileProfile
  readonly registry: Registry
  readonly topics: Topics
  /** Of the programme: what a day is. */
  readonly calendar: Calendar
  readonly signal: AbortSignal
}

/**
 * A file of receipts dealt out by their days, on disk, so that one day at a time is in memory. Rows are read and receipts
 * are made as those of an upload.
 */
export class ReceiptDays {
  readonly #directory: string
  readonly #decoder: ReturnType<typeof decoderOf<'TransactionRecorded'>>
  #first = Number.POSITIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY
  readonly #days = new Set<number>()

  private constructor(directory: string, registry: Registry) {
    this.#directory = directory
    this.#decoder = decoderOf(registry, 'TransactionRecorded')
  }

  /** Errors: those of `prepareReceipts`. */
  static async read(options: DaysOptions): Promise<ReceiptDays> {
    const days = new ReceiptDays(await mkdtemp(join(tmpdir(), 'loyalty-stream-demo-')), options.registry)
    try {
      await days.#dealOut(options)
      return days
    } catch (error) {
      await days.close()
      throw error
    }
  }

  /** First and last day with a receipt, days since 1970-01-01. */
  get first(): number {
    return this.#first
  }

  get last(): number {
    return this.#last
  }

  /** Receipts of a day in the order of the file; none of a day without trade. */
  async of(day: number): Promise<TransactionRecorded[]> {
    if (!this.#days.has(day)) return []
    const bytes = await readFile(this.#pathOf(day))
    const events: TransactionRecorded[] = []
    for (let at = 0; at < bytes.length; ) {
      const end = at + 4 + bytes.readUInt32LE(at)
      events.push(await this.#decoded(bytes.subarray(at + 4, end)))
      at = end
    }
    return events
  }

  async close(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #dealOut({ path, profile, registry, topics, calendar, signal }: DaysOptions): Promise<void> {
    const directory = join(this.#directory, 'prepared')
    const key = randomUUID()
    const { TransactionRecorded: schemaId } = await registerAll(registry, topics, ['TransactionRecorded'])
    const { buckets } = await prepareReceipts({
      ...{ profile, directory, signal, batchId: key, rowsKey: key, eventsKey: key, partitions: 1 },
      encoder: new EventEncoder('TransactionRecorded', schemaId),
      original: (work) => work(path),
    })
    for (let bucket = 0; bucket < buckets; bucket++) {
      signal.throwIfAborted()
      const byDay = new Map<number, Buffer[]>()
      for (const { value } of await readEvents(eventsIn(directory), bucket)) {
        const day = calendar.dayOf((await this.#decoded(value)).occurred_at)
        const length = Buffer.allocUnsafe(4)
        length.writeUInt32LE(value.length)
        const frames = byDay.get(day)
        if (frames === undefined) byDay.set(day, [length, Buffer.from(value)])
        else frames.push(length, Buffer.from(value))
      }
      for (const [day, frames] of byDay) await this.#append(day, Buffer.concat(frames))
    }
    await rm(directory, { recursive: true, force: true })
  }

  async #append(day: number, bytes: Buffer): Promise<void> {
    await appendFile(this.#pathOf(day), bytes)
    this.#days.add(day)
    this.#first = Math.min(this.#first, day)
    this.#last = Math.max(this.#last, day)
  }

  #pathOf(day: number): string {
    return join(this.#directory, `day-${day}`)
  }

  /** What was encoded here a moment ago. */
  async #decoded(value: Uint8Array): Promise<TransactionRecorded> {
    const decoded = await this.#decoder.read(value)
    if (decoded.kind !== 'ok') throw new Error(`a receipt cannot be read back: ${decoded.kind}`)
    return decoded.event
  }
}
