import { randomBytes } from 'node:crypto'
import type { Log, LogReader, LogRecord, NewRecord, TopicSpec } from '#streams/log/log.ts'

/** How a child process opens the same log: a module's address, the function to call in it, and its argument. */
export interface ChildLog {
  readonly module: string
  readonly open: string
  readonly options: Readonly<Record<string, unknown>>
}

/** One log under test. */
export interface LogHarness {
  /** Opens the log once more, as another process would. The suite closes what it opened. */
  open(): Log
  readonly child: ChildLog
  /** Ends the engine, where the harness started one. */
  close(): Promise<void>
  /** Shortest session of a group that the adapter allows, in ms; default 1,000. */
  readonly shortestSessionMs?: number
}

/** What the parts of the suite share: the harness and one log opened through it. */
export class LogContext {
  readonly harness: LogHarness
  readonly log: Log
  readonly #opened: Log[] = []

  constructor(harness: LogHarness) {
    this.harness = harness
    this.log = this.open()
  }

  /** A further log object, closed at the end of the suite. */
  open(): Log {
    const log = this.harness.open()
    this.#opened.push(log)
    return log
  }

  /** Creates a topic with a name of its own. */
  async topic(name: string, spec: Partial<Omit<TopicSpec, 'topic'>> = {}): Promise<string> {
    const topic = `contract.${name}-${randomBytes(4).toString('hex')}`
    await this.log.admin.ensureTopics([{ topic, partitions: 1, compacted: false, ...spec }])
    return topic
  }

  /** An id nobody else uses, for transactional ids and groups. */
  id(name: string): string {
    return `${name}-${randomBytes(6).toString('hex')}`
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.map((log) => log.close()))
    await this.harness.close()
  }
}

export function record(value: string, key: string | null = 'k'): NewRecord {
  return { key: key === null ? null : Buffer.from(key), value: Buffer.from(value) }
}

export function records(count: number, name = 'r', from = 0): NewRecord[] {
  return Array.from({ length: count }, (_, index) => record(`${name}${from + index}`))
}

export function text({ value }: { value: Uint8Array | null }): string {
  return value === null ? '(null)' : Buffer.from(value).toString()
}

/** Polls until `count` records have come or `timeoutMs` is over, and answers what came, in order of arrival. */
export async function take(
  reader: LogReader,
  count: number,
  timeoutMs = 10_000,
): Promise<(LogRecord & { topic: string; partition: number })[]> {
  const taken: (LogRecord & { topic: string; partition: number })[] = []
  const deadline = performance.now() + timeoutMs
  while (taken.length < count && performance.now() < deadline)
    for (const { topic, partition, records: batch } of await reader.poll(100))
      for (const each of batch) taken.push({ ...each, topic, partition })
  return taken
}

/** Everything committed in one partition when it is called. */
export async function readAll(log: Log, topic: string, partition = 0, from = 0): Promise<LogRecord[]> {
  const end = (await log.admin.endOffsets(topic))[partition] ?? 0
  const reader = log.reader()
  try {
    reader.seek(topic, partition, from)
    const all: LogRecord[] = []
    const deadline = performance.now() + 20_000
    for (let next = from; next < end; ) {
      if (performance.now() > deadline) throw new Error(`${topic}[${partition}] stands at ${next} below its end ${end}`)
      for (const batch of await reader.poll(500)) {
        all.push(...batch.records)
        next = batch.nextOffset
      }
    }
    return all
  } finally {
    await reader.close()
  }
}
