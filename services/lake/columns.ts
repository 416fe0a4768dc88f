import type { Columns, Row } from './parquet.ts'

/** The columns of the files, by event type. Those of the record come first and are what an import reads. */

const record = {
  topic: 'text',
  partition: 'int',
  offset: 'long',
  /** Arrival in the log. */
  timestamp: 'time',
  key: 'bytes',
  /** JSON, see headers.ts. */
  headers: 'text',
  /** With its frame: a zero byte, the four-byte id of the schema, Avro. */
  value: 'bytes',
  schema_id: 'long',
} as const

/** What could be decoded of a transaction; null where it could not. */
const transaction = {
  transaction_id: 'text',
  client_id: 'text',
  kind: 'text',
  occurred_at: 'time',
  amount_minor: 'long',
  currency: 'text',
  source: 'text',
  store_id: 'text',
  batch_id: 'text',
} as const

export const transactionColumns = { ...record, ...transaction }

export const controlColumns = { ...record, event: 'text', event_json: 'text' } as const

export const deadLetterColumns = {
  ...record,
  reason: 'text',
  detail: 'text',
  original_topic: 'text',
  original_partition: 'int',
  original_offset: 'long',
  original_timestamp: 'time',
  truncated_from: 'long',
  ...transaction,
} as const

export const rejectedColumns = {
  upload_id: 'text',
  file_name: 'text',
  uploaded_at: 'time',
  /** Of the file, as its verdicts name it. */
  row: 'long',
  reason: 'text',
  field: 'text',
  value: 'text',
  /** JSON object: the cells of the columns that the profile reads. */
  cells: 'text',
} as const satisfies Columns<string>

type RowOf<Kinds extends Columns<string>> = Row<keyof Kinds & string>

export type RecordRow = RowOf<typeof record>
export type TransactionRow = RowOf<typeof transactionColumns>
export type ControlRow = RowOf<typeof controlColumns>
export type DeadLetterRow = RowOf<typeof deadLetterColumns>
export type RejectedRow = RowOf<typeof rejectedColumns>
export type TransactionFacts = RowOf<typeof transaction>
