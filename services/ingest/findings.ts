import { EventEncoder } from '#schemas/encoder.ts'
import { registerAll } from '#schemas/registry.ts'
import type { JobDeps, TransactionsTask } from './job.ts'
import type { ReceiptsManifest } from './receipts/receipt-pass.ts'

/** Stores of one event: far below what a record may hold, however long their names are. */
const storesOfPart = 500

/**
 * Tells whoever reports on data quality what only the file says: its rows by store, and the bound of its outliers. Published
 * before the transactions, and again by every later attempt: what is said of an upload once more replaces itself.
 */
export async function publishFindings(
  { log, topics, registry }: Pick<JobDeps, 'log' | 'topics' | 'registry'>,
  { batchId, uploadedAtMs }: Pick<TransactionsTask, 'batchId' | 'uploadedAtMs'>,
  { stores, outliers }: Pick<ReceiptsManifest, 'stores' | 'outliers'>,
): Promise<void> {
  const { UploadExamined: schemaId } = await registerAll(registry, topics, ['UploadExamined'])
  const encoder = new EventEncoder('UploadExamined', schemaId)
  const parts = Math.max(1, Math.ceil(stores.length / storesOfPart))
  const records = Array.from({ length: parts }, (_, index) => ({
    key: Buffer.from(batchId),
    value: encoder.encode({
      batch_id: batchId,
      part: index + 1,
      parts,
      received_at: uploadedAtMs,
      outlier_above_minor: outliers.above_minor,
      stores: stores.slice(index * storesOfPart, (index + 1) * storesOfPart),
    }),
  }))
  const writer = log.writer()
  try {
    await writer.append(topics.uploads, 0, records)
  } finally {
    await writer.close()
  }
}
