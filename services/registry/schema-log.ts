import { hasCode, LoyaltyError } from '#streams/core/error.ts'
import type { Log, LogReader, LogRecord, TransactionalWriter } from '#streams/log/log.ts'
import { type SchemaEntry, SchemaIndex } from './schema-index.ts'

/** Called where the tail of the topic fails or heals, and for a record that is no schema entry. */
export interface SchemaLogObserver {
  readonly onFault?: (error: unknown) => void
}

const pollMs = 1_000
const waitMs = 10_000
const retryMs = 200
const attempts = 5

/**
 * Schemas are events: the registry's state is the fold of a compacted topic that every instance follows. A change is
 * decided by one instance at a time: whoever writes has fenced the others first and then read the topic to its end, so two
 * instances never give out the same id, and an answer given is in the log.
 */
export class SchemaLog {
  readonly index = new SchemaIndex()
  readonly #log: Log
  readonly #topic: string
  readonly #observer: SchemaLogObserver
  readonly #reader: LogReader
  readonly #waiting = new Set<() => void>()
  /** Texts of entries written by this instance and not yet read back. */
  readonly #awaited = new Set<string>()
  #position = 0
  #fault: unknown = null
  #closed = false
  #tail: Promise<void> = Promise.resolve()
  #changes: Promise<unknown> = Promise.resolve()
  #writer: TransactionalWriter | null = null

  private constructor(log: Log, topic: string, observer: SchemaLogObserver) {
    this.#log = log
    this.#topic = topic
    this.#observer = observer
    this.#reader = log.reader()
  }

  /** Creates the topic where it is missing and reads it to its end. */
  static async open(log: Log, topic: string, observer: SchemaLogObserver = {}): Promise<SchemaLog> {
    await log.admin.ensureTopics([{ topic, partitions: 1, compacted: true }])
    const schemas = new SchemaLog(log, topic, observer)
    schemas.#position = (await log.admin.startOffsets(topic))[0] ?? 0
    schemas.#reader.seek(topic, 0, schemas.#position)
    schemas.#tail = schemas.#follow()
    try {
      await schemas.catchUp()
    } catch (error) {
      await schemas.close()
      throw error
    }
    return schemas
  }

  /** What keeps the tail from being read, or null while all is well. */
  get fault(): unknown {
    return this.#fault
  }

  /**
   * Waits until everything committed by now is in the index. A "not found" is only given after this.
   *
   * Errors: `registry_store_behind` (retriable), those of the log.
   */
  async catchUp(): Promise<void> {
    const end = (await this.#log.admin.endOffsets(this.#topic))[0] ?? 0
    await this.#until(() => this.#position >= end)
  }

  /**
   * Changes the registry: `decide` looks at the current index and returns the entry to add, or null where there is nothing
   * to do; it may be called again. Resolves when the entry is in the log and in the index.
   */
  change(decide: (index: SchemaIndex) => SchemaEntry | null): Promise<void> {
    const turn = this.#changes.then(() => this.#change(decide))
    this.#changes = turn.catch(() => {})
    return turn
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake()
    await this.#changes
    await this.#reader.close()
    await this.#tail
    await this.#writer?.close()
  }

  async #change(decide: (index: SchemaIndex) => SchemaEntry | null): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const writer = await this.#fenced()
      await this.catchUp()
      const entry = decide(this.index)
      if (entry === null) return
      const record = recordOf(entry)
      const text = `${record.key}${record.value}`
      this.#awaited.add(text)
      try {
        await writer.append(this.#topic, 0, [record])
        await writer.commit()
        // The mark that makes a commit readable may come after the reply: wait for the entry, not for an offset.
        return await this.#until(() => !this.#awaited.has(text))
      } catch (error) {
        await this.#dropWriter()
        if (attempt === attempts || !hasCode(error, 'log_fenced', 'log_commit_unknown')) throw error
      } finally {
        this.#awaited.delete(text)
      }
    }
  }

  /** The writer that has fenced all others; kept until one of them fences it. */
  async #fenced(): Promise<TransactionalWriter> {
    if (this.#writer === null) {
      const writer = this.#log.transactionalWriter(`${this.#topic}.registry`)
      try {
        await writer.fence()
      } catch (error) {
        await writer.close()
        throw error
      }
      this.#writer = writer
    }
    return this.#writer
  }

  async #dropWriter(): Promise<void> {
    const writer = this.#writer
    this.#writer = null
    await writer?.close().catch((error: unknown) => this.#observer.onFault?.(error))
  }

  async #follow(): Promise<void> {
    while (!this.#closed) {
      try {
        for (const batch of await this.#reader.poll(pollMs)) {
          for (const record of batch.records) this.#fold(record)
          this.#position = batch.nextOffset
        }
        this.#fault = null
      } catch (error) {
        if (this.#closed) return
        this.#fault = error
        this.#observer.onFault?.(error)
        // The log was closed under it: nothing will be read any more, and nobody is to wait for that.
        if (hasCode(error, 'log_closed')) this.#closed = true
        else await new Promise((resolve) => setTimeout(resolve, retryMs))
      }
      this.#wake()
    }
  }

  /** A damaged record must not keep the registry from serving the others. */
  #fold(record: LogRecord): void {
    try {
      const [key, value] = [textOf(record.key), textOf(record.value)]
      if (record.value !== null) this.index.apply({ key: JSON.parse(key), value: JSON.parse(value) } as SchemaEntry)
      this.#awaited.delete(key + value)
    } catch (cause) {
      const message = `${this.#topic} holds no schema entry at offset ${record.offset}`
      this.#observer.onFault?.(new LoyaltyError('registry_entry_unreadable', message, { cause }))
    }
  }

  async #until(reached: () => boolean): Promise<void> {
    const deadline = performance.now() + waitMs
    while (!reached()) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0 || this.#closed)
        throw new LoyaltyError('registry_store_behind', `the registry cannot read ${this.#topic} to its end`, {
          retriable: true,
          cause: this.#fault,
        })
      await this.#progress(leftMs)
    }
  }

  #progress(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#waiting.add(done)
    })
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done()
  }
}

function recordOf(entry: SchemaEntry) {
  return { key: Buffer.from(JSON.stringify(entry.key)), value: Buffer.from(JSON.stringify(entry.value)) }
}

function textOf(bytes: Uint8Array | null): string {
  return bytes === null ? '' : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
