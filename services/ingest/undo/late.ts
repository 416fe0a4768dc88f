import type { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import type { NewRecord } from '#streams/log/log.ts'
import type { Generations } from './generations.ts'
import { republishedBy } from './prepare.ts'
import { type ScanOptions, TransactionScan } from './scan.ts'

export interface LateOptions extends Omit<ScanOptions, 'undone'> {
  readonly taskId: string
  /** With what this undo ended. */
  readonly generations: Generations
  readonly encoder: EventEncoder<'TransactionRecorded'>
  /** Where the plan's look at the log ended. */
  readonly from: readonly number[]
}

/**
 * Publishes again, under its id of now, what a till sent under an id whose generation ended while the undo was being
 * prepared: it was told that the transaction is taken, and nobody knew yet that its id was about to be voided. Answers how
 * many there were. Done twice it publishes duplicates, which count nothing.
 */
export async function publishLate(options: LateOptions): Promise<number> {
  const { log, topic, generations, encoder, taskId, batchId, from } = options
  const scan = new TransactionScan({ ...options, batchId, undone: new Set() })
  const writer = log.writer()
  let published = 0
  try {
    for (const [partition, to] of (await log.admin.endOffsets(topic)).entries()) {
      const records: NewRecord[] = []
      await scan.run(partition, { from: from[partition] ?? 0, to }, (seen) => {
        if (seen.transaction.batchAt >= 0 || generations.of(seen.key) <= seen.generation) return
        const event: TransactionRecorded = scan.eventOf(seen)
        const { client_id: client, transaction_id: id, original_transaction_id: original, attributes } = event
        const value = encoder.encode({
          ...event,
          transaction_id: generations.renewed(client, id),
          original_transaction_id: original === null ? null : generations.renewed(client, original),
          attributes: { ...attributes, [republishedBy]: taskId },
        })
        records.push({ key: Buffer.from(client), value })
      })
      if (records.length > 0) await writer.append(topic, partition, records)
      published += records.length
    }
  } finally {
    await writer.close()
  }
  return published
}
