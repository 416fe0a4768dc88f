import { LoyaltyError } from '../core/error.ts'
import type { Log, LogBatch, LogRecord } from './log.ts'

/**
 * Reads the committed records of one partition with offsets in [from, to), batch by batch, and ends there, also when the
 * tail holds nothing but marks. Errors are those of `LogReader.poll`; `log_range_stalled` when no progress was made for
 * `stallMs` (default 60 s).
 */
export async function* readRange(
  log: Log,
  topic: string,
  partition: number,
  from: number,
  to: number,
  options: { stallMs?: number; maxBytesPerPartition?: number } = {},
): AsyncGenerator<LogBatch> {
  if (from >= to) return
  const stallMs = options.stallMs ?? 60_000
  const reader = log.reader(
    options.maxBytesPerPartition === undefined ? {} : { maxBytesPerPartition: options.maxBytesPerPartition },
  )
  try {
    reader.seek(topic, partition, from)
    let next = from
    let progressAt = performance.now()
    while (next < to) {
      const [batch] = await reader.poll(1_000)
      if (batch === undefined || batch.nextOffset === next) {
        if (performance.now() - progressAt > stallMs)
          throw new LoyaltyError(
            'log_range_stalled',
            `no progress reading ${topic}[${partition}] at ${next} below ${to}`,
            {
              retriable: true,
              details: { topic, partition, next, to },
            },
          )
        continue
      }
      progressAt = performance.now()
      next = batch.nextOffset
      yield next > to ? upTo(to, batch) : batch
    }
  } finally {
    await reader.close()
  }
}

function upTo(to: number, batch: LogBatch): LogBatch {
  const { records } = batch
  const within = records.filter(({ offset }) => offset < to)
  // Marks in the tail are passed, records that the range leaves out are not.
  return within.length < records.length ? { ...partOf(batch, within), nextOffset: to } : batch
}

/** A batch with some of the records of another. */
export function partOf(batch: LogBatch, records: readonly LogRecord[]): LogBatch {
  const { topic, partition, fromOffset, nextOffset, endOffset } = batch
  const bytes = records.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0)
  return { topic, partition, records, count: records.length, bytes, fromOffset, nextOffset, endOffset }
}

/**
 * The first committed record of a partition with an offset in [from, to), or null where there are only marks. Copies its
 * bytes. Errors: those of `readRange`.
 */
export async function readFirst(
  log: Log,
  topic: string,
  partition: number,
  from: number,
  to: number,
  options: { stallMs?: number } = {},
): Promise<LogRecord | null> {
  for await (const { records } of readRange(log, topic, partition, from, to, {
    ...options,
    maxBytesPerPartition: 4096,
  })) {
    const [first] = records
    if (first !== undefined) return copyOf(first)
  }
  return null
}

/** The last committed record of a partition, or null where there is none. Copies its bytes. */
export async function readLast(log: Log, topic: string, partition: number): Promise<LogRecord | null> {
  const end = (await log.admin.endOffsets(topic))[partition] ?? 0
  const start = (await log.admin.startOffsets(topic))[partition] ?? 0
  for (let span = 8; ; span *= 8) {
    const from = Math.max(start, end - span)
    let last: LogRecord | null = null
    for await (const { records } of readRange(log, topic, partition, from, end)) last = records.at(-1) ?? last
    if (last !== null) return copyOf(last)
    if (from <= start) return null
  }
}

function copyOf(record: LogRecord): LogRecord {
  return {
    ...record,
    key: record.key && Uint8Array.from(record.key),
    value: record.value && Uint8Array.from(record.value),
    headers: Object.fromEntries(Object.entries(record.headers).map(([name, bytes]) => [name, Uint8Array.from(bytes)])),
  }
}
