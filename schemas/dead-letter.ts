import { LoyaltyError } from '#streams/core/error.ts'

/** Why a record went to dead letters. A closed list (docs/events.md says what each means). */
export const deadLetterReasons = [
  'undecodable',
  'unknown_schema',
  'invalid',
  'wrong_currency',
  'wrong_partition',
  'conflicting_duplicate',
  'beyond_ledger',
  'sums_too_large',
  'too_large',
] as const

export type DeadLetterReason = (typeof deadLetterReasons)[number]

/** Headers of a dead letter; its value is the raw value, its key the original key. */
export const deadLetterHeaders = {
  reason: 'loyalty-reason',
  detail: 'loyalty-detail',
  topic: 'loyalty-topic',
  partition: 'loyalty-partition',
  offset: 'loyalty-offset',
  timestamp: 'loyalty-timestamp',
  schemaId: 'loyalty-schema-id',
  truncated: 'loyalty-truncated',
} as const

/** Headers of a record that was replayed from a dead letter; the dead letter that it becomes if it is still wrong has them too. */
export const replayHeaders = {
  of: 'loyalty-replay-of',
  action: 'loyalty-replay-action',
  attempt: 'loyalty-attempt',
} as const

/** Raw bytes above this are cut; the whole value stays in the original topic. */
export const largestDeadLetterValue = 1024 * 1024

/** Largest value of a transaction, frame included; above it the record is a dead letter `too_large`. */
export const largestTransactionValue = 256 * 1024

/** Longest detail kept, in characters. */
const longestDetail = 1_000

export interface DeadLetter {
  readonly reason: DeadLetterReason
  /** What exactly is wrong, for a person. */
  readonly detail: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Arrival of the original record. */
  readonly timestampMs: number
  readonly schemaId: number | null
  /** Length of the original value in bytes where it was cut, else null. */
  readonly truncatedFrom: number | null
}

type Headers = Readonly<Record<string, Uint8Array>>

export interface Original {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: Headers
}

/** Where a replayed record comes from. */
export interface Replay {
  /** The dead letter: `partition:offset` in its topic. */
  readonly of: string
  /** The action that replayed it. */
  readonly action: string
  /** 2 for what was replayed once. */
  readonly attempt: number
}

export function encodeReplayHeaders({ of, action, attempt }: Replay): Headers {
  return {
    [replayHeaders.of]: Buffer.from(of),
    [replayHeaders.action]: Buffer.from(action),
    [replayHeaders.attempt]: Buffer.from(String(attempt)),
  }
}

/** Null where a record was not replayed, or its headers are not as we write them: anybody may send such. */
export function decodeReplayHeaders(headers: Headers): Replay | null {
  if (headers[replayHeaders.of] === undefined) return null
  const of = text(headers, replayHeaders.of)
  const action = headers[replayHeaders.action] === undefined ? '' : text(headers, replayHeaders.action)
  const attempt = headers[replayHeaders.attempt] === undefined ? 0 : Number(text(headers, replayHeaders.attempt))
  const ours = /^\d{1,9}:\d{1,16}$/.test(of) && /^[0-9a-f-]{36}$/.test(action) && attempt >= 2 && attempt < 1_000_000
  return ours && Number.isInteger(attempt) ? { of, action, attempt } : null
}

/** The record to append to the dead letter topic for an original. Shares the original's bytes. */
export function deadLetterRecord(
  original: Original,
  reason: DeadLetterReason,
  detail: string,
  schemaId: number | null = null,
): { key: Uint8Array | null; value: Uint8Array | null; headers: Headers } {
  const { topic, partition, offset, timestampMs, key, value } = original
  const cut = value !== null && value.length > largestDeadLetterValue
  const letter = { reason, detail, topic, partition, offset, timestampMs, schemaId }
  const replay = original.headers === undefined ? null : decodeReplayHeaders(original.headers)
  return {
    key,
    value: cut ? value.subarray(0, largestDeadLetterValue) : value,
    headers: {
      ...encodeDeadLetterHeaders({ ...letter, truncatedFrom: cut ? value.length : null }),
      ...(replay === null ? {} : encodeReplayHeaders(replay)),
    },
  }
}

export function encodeDeadLetterHeaders(letter: DeadLetter): Headers {
  const headers: Record<string, Uint8Array> = {
    [deadLetterHeaders.reason]: Buffer.from(letter.reason),
    [deadLetterHeaders.detail]: Buffer.from(letter.detail.slice(0, longestDetail)),
    [deadLetterHeaders.topic]: Buffer.from(letter.topic),
    [deadLetterHeaders.partition]: Buffer.from(String(letter.partition)),
    [deadLetterHeaders.offset]: Buffer.from(String(letter.offset)),
    [deadLetterHeaders.timestamp]: Buffer.from(String(letter.timestampMs)),
  }
  if (letter.schemaId !== null) headers[deadLetterHeaders.schemaId] = Buffer.from(String(letter.schemaId))
  if (letter.truncatedFrom !== null) headers[deadLetterHeaders.truncated] = Buffer.from(String(letter.truncatedFrom))
  return headers
}

/** Errors: `dead_letter_unreadable` where a header is missing or no number, or the reason is not in the list. */
export function decodeDeadLetterHeaders(headers: Headers): DeadLetter {
  const reason = text(headers, deadLetterHeaders.reason)
  if (!isReason(reason)) throw unreadable(deadLetterHeaders.reason)
  return {
    reason,
    detail: text(headers, deadLetterHeaders.detail),
    topic: text(headers, deadLetterHeaders.topic),
    partition: number(headers, deadLetterHeaders.partition),
    offset: number(headers, deadLetterHeaders.offset),
    timestampMs: number(headers, deadLetterHeaders.timestamp),
    schemaId: optionalNumber(headers, deadLetterHeaders.schemaId),
    truncatedFrom: optionalNumber(headers, deadLetterHeaders.truncated),
  }
}

function isReason(value: string): value is DeadLetterReason {
  return (deadLetterReasons as readonly string[]).includes(value)
}

function text(headers: Headers, name: string): string {
  const bytes = headers[name]
  if (bytes === undefined) throw unreadable(name)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}

function number(headers: Headers, name: string): number {
  const value = text(headers, name)
  const parsed = Number(value)
  if (value === '' || !Number.isSafeInteger(parsed)) throw unreadable(name)
  return parsed
}

function optionalNumber(headers: Headers, name: string): number | null {
  return headers[name] === undefined ? null : number(headers, name)
}

function unreadable(header: string): LoyaltyError {
  return new LoyaltyError('dead_letter_unreadable', `a dead letter has no usable header ${header}`, {
    details: { header },
  })
}
