/**
 * Headers of a transaction that a task passed on to the partition its key belongs to: where it came from, beside the
 * headers that it had. They mark it as passed on: it is not passed on a second time.
 */
export const forwardHeaders = {
  partition: 'loyalty-forwarded-partition',
  offset: 'loyalty-forwarded-offset',
  timestamp: 'loyalty-forwarded-timestamp',
} as const

/** Most bytes of key and headers with which a record is passed on: with them it must fit the log's limit for a record. */
export const largestForwardedHeaders = 64 * 1024

type Headers = Readonly<Record<string, Uint8Array>>

interface Original {
  readonly partition: number
  readonly offset: number
  /** Arrival, epoch milliseconds. */
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: Headers
}

/** Where a record that was passed on stood first, and when it arrived there. */
export type ForwardedFrom = Pick<Original, 'partition' | 'offset' | 'timestampMs'>

/** The record to append to the right partition. Shares the original's bytes. */
export function forwardedRecord({ partition, offset, timestampMs, key, value, headers }: Original): {
  key: Uint8Array | null
  value: Uint8Array | null
  headers: Headers
} {
  return {
    key,
    value,
    headers: {
      ...headers,
      [forwardHeaders.partition]: Buffer.from(String(partition)),
      [forwardHeaders.offset]: Buffer.from(String(offset)),
      [forwardHeaders.timestamp]: Buffer.from(String(timestampMs)),
    },
  }
}

export function isForwarded(headers: Headers): boolean {
  return Object.values(forwardHeaders).some((name) => headers[name] !== undefined)
}

/** Null where a record was not passed on, or its headers are not those of a task. */
export function forwardedFrom(headers: Headers): ForwardedFrom | null {
  const [partition, offset, timestampMs] = [
    numberIn(headers, forwardHeaders.partition),
    numberIn(headers, forwardHeaders.offset),
    numberIn(headers, forwardHeaders.timestamp),
  ]
  return partition === null || offset === null || timestampMs === null ? null : { partition, offset, timestampMs }
}

/** Whether key and headers leave room for the headers of a task. */
export function isForwardable({ key, headers }: Pick<Original, 'key' | 'headers'>): boolean {
  let bytes = key?.length ?? 0
  for (const [name, value] of Object.entries(headers)) bytes += Buffer.byteLength(name) + (value?.length ?? 0)
  return bytes <= largestForwardedHeaders
}

function numberIn(headers: Headers, name: string): number | null {
  const bytes = headers[name]
  const text = bytes === undefined ? '' : Buffer.from(bytes).toString()
  return /^\d{1,15}$/.test(text) ? Number(text) : null
}
