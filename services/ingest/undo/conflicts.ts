import { decodeDeadLetterHeaders } from '#schemas/dead-letter.ts'
import { decoderOf } from '#schemas/decoder.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { DistinctCount } from '../distinct.ts'

/** A receipt that came again with other content. */
export interface Conflict {
  readonly transaction_id: string
  readonly client_id: string
  readonly receipt_number: string | null
  readonly occurred_at: string
  readonly amount_minor: number
}

export interface Conflicts {
  readonly count: number
  /** The first ones, as the file has them. */
  readonly first: readonly Conflict[]
}

/** With what tells which events of the upload they are. */
export interface AllConflicts extends Conflicts {
  /** Values as `valueKey` has them. */
  readonly values: DistinctCount
}

/** An event's value as text, a unit for each byte. Of one id there may be several in a file, of which one is in force. */
export function valueKey(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1')
}

const shown = 20

/** Receipts of a batch that the stream refused because others with their ids came before: dead letters from `from` on. */
export async function conflictsOf(
  { log, topics, registry }: { readonly log: Log; readonly topics: Topics; readonly registry: Registry },
  batchId: string,
  from: readonly number[],
  signal?: AbortSignal,
): Promise<AllConflicts> {
  const decoder = decoderOf(registry, 'TransactionRecorded')
  const first: Conflict[] = []
  const values = new DistinctCount()
  let count = 0
  for (const [partition, end] of (await log.admin.endOffsets(topics.deadLetters)).entries())
    for await (const { records } of readRange(log, topics.deadLetters, partition, from[partition] ?? 0, end)) {
      signal?.throwIfAborted()
      for (const { headers, value } of records) {
        if (decodeDeadLetterHeaders(headers).reason !== 'conflicting_duplicate') continue
        const decoded = await decoder.read(value)
        if (decoded.kind !== 'ok' || decoded.event.batch_id !== batchId) continue
        count++
        values.add(valueKey(value!))
        if (first.length === shown) continue
        const { transaction_id, client_id, receipt_number, occurred_at, amount_minor } = decoded.event
        const at = new Date(occurred_at).toISOString()
        first.push({ transaction_id, client_id, receipt_number, occurred_at: at, amount_minor })
      }
    }
  return { count, first, values }
}
