import { EventEncoder } from '#schemas/encoder.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { NewRecord } from '#streams/log/log.ts'
import type { TransactionGenerator } from './transactions.ts'

/** Records by partition, ready to append. */
export type EncodedBatch = readonly NewRecord[][]

/**
 * The events of a generator as framed Avro, keyed by client, in batches of `batchEvents` over `partitions`. An encoder
 * refers to shared memory, so a batch is appended before many more are made.
 */
export function* encodedTransactions(
  generator: TransactionGenerator,
  options: { readonly schemaId: number; readonly partitions: number; readonly batchEvents?: number },
): Generator<EncodedBatch> {
  const encoder = new EventEncoder('TransactionRecorded', options.schemaId)
  const most = options.batchEvents ?? 10_000
  let batch: NewRecord[][] = Array.from({ length: options.partitions }, () => [])
  let size = 0
  for (let event = generator.next(); event !== null; event = generator.next()) {
    const key = Buffer.from(event.client_id)
    batch[partitionOf(key, options.partitions)]!.push({ key, value: encoder.encode(event) })
    if (++size < most) continue
    yield batch
    batch = Array.from({ length: options.partitions }, () => [])
    size = 0
  }
  if (size > 0) yield batch
}
