import type { Batch, Delivery, Projection } from '../projection.ts'
import { RowBinary } from '../row-binary.ts'
import { type ClickHouseTarget, command, insertOnce } from './clickhouse-target.ts'

const columns = [
  ...['batch_id', 'others', 'store_id', 'received_at', 'outlier_above_minor', 'accepted_rows', 'rejected_rows'],
  ...['log_offset'],
]

class UploadsBatch implements Batch {
  readonly stores = new RowBinary()
  readonly open = false

  get rows(): number {
    return this.stores.rows
  }

  add(delivery: Delivery): void {
    if (delivery.name !== 'UploadExamined') return
    const { event, record } = delivery
    const rows = this.stores
    for (const { store_id, others, accepted_rows, rejected_rows } of event.stores) {
      rows.string(event.batch_id)
      rows.uint8(others ? 1 : 0)
      rows.string(store_id ?? '')
      rows.int64(event.received_at)
      rows.nullable(event.outlier_above_minor, 'int64')
      rows.int64(accepted_rows)
      rows.counts(rejected_rows)
      rows.int64(record.offset)
      rows.endRow()
    }
  }
}

/** What was found in the rows of uploads (`upload_rows`). An upload that was examined again replaces its rows. */
export const clickhouseUploads: Projection<ClickHouseTarget, UploadsBatch> = {
  name: 'clickhouse-uploads',
  version: 1,
  handles: ['uploads'],
  tables: ['upload_rows'],
  begin: () => new UploadsBatch(),
  async init() {},

  async apply(batch, target) {
    await insertOnce(target, 'upload_rows', columns, batch.stores)
  },

  async truncate({ client, suffix }) {
    await command(client, `TRUNCATE TABLE upload_rows${suffix}`)
  },
}
