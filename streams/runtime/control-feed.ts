import type { LogRecord } from '../log/log.ts'

/** The control topic as read so far, shared by the tasks of a process. It is small and kept whole. */
export class ControlFeed {
  readonly #records: LogRecord[] = []
  #nextOffset = 0
  #waiters: (() => void)[] = []

  /** Where reading goes on. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Adds records in order and wakes whoever waits. The bytes must be the feed's own. */
  add(records: readonly LogRecord[], nextOffset: number): void {
    for (const record of records) if (record.offset >= this.#nextOffset) this.#records.push(record)
    this.#nextOffset = Math.max(this.#nextOffset, nextOffset)
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }

  /** Records with offsets in [from, to). */
  between(from: number, to: number): LogRecord[] {
    return this.#records.filter((record) => record.offset >= from && record.offset < to)
  }

  /** Records from `from` on. */
  from(from: number): LogRecord[] {
    if (from >= this.#nextOffset) return []
    return this.between(from, Number.POSITIVE_INFINITY)
  }

  /** Resolves once everything below `offset` was read. Throws the signal's reason where that comes first. */
  async reached(offset: number, signal: AbortSignal): Promise<void> {
    while (this.#nextOffset < offset) {
      signal.throwIfAborted()
      await new Promise<void>((wake) => {
        this.#waiters.push(wake)
        signal.addEventListener('abort', () => wake(), { once: true })
      })
    }
  }
}
