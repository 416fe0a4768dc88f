import type { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import type { NewRecord } from '#streams/log/log.ts'
import { untilDecided } from '../completion.ts'
import type { Generations } from './generations.ts'
import type { Purpose } from './plan.ts'
import { republishedBy } from './prepare.ts'
import { Owner, type ScanOptions, TransactionScan } from './scan.ts'

export interface LateOptions extends ScanOptions {
  readonly taskId: string
  readonly purpose: Purpose
  /** With what this undo ended. */
  readonly generations: Generations
  readonly encoder: EventEncoder<'TransactionRecorded'>
  /** Where the plan's look at the log ended. */
  readonly from: readonly number[]
}

/**
 * Publishes again, under its id of now, what came under an id whose generation ended while the undo was being prepared: a
 * till was told that the transaction is taken, or a dead letter was replayed, and nobody knew yet that the id was about to
 * be voided. What becomes durable after this look is its sender's to publish again: see `GenerationFence`. Answers how many
 * there were. Done twice it publishes duplicates, which count nothing.
 */
export async function publishLate(options: LateOptions): Promise<number> {
  const { log, topic, generations, encoder, taskId, purpose, from, signal } = options
  const scan = new TransactionScan(options)
  const stands = (owner: Owner) => owner === Owner.standing || (owner === Owner.subject && purpose === 'replace')
  // What was confirmed by now may lie behind a transaction of somebody else that is still open.
  await untilDecided(log, topic, signal)
  const writer = log.writer()
  let published = 0
  try {
    for (const [partition, to] of (await log.admin.endOffsets(topic)).entries()) {
      const records: NewRecord[] = []
      await scan.run(partition, { from: from[partition] ?? 0, to }, (seen) => {
        if (!stands(seen.owner) || generations.of(seen.key) <= seen.generation) return
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
