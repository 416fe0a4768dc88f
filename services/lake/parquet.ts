import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { parquetWriteBuffer } from 'hyparquet-writer'

/** Parquet files compressed with zstd, written and read in memory. */

/** What a column is of. Whole numbers are given as numbers. `bytes` are kept as they are. */
export type ColumnKind = 'text' | 'bytes' | 'int' | 'long' | 'time'

export type Cell = string | number | Uint8Array | null

export type Columns<Name extends string> = Readonly<Record<Name, ColumnKind>>
export type Row<Name extends string> = Readonly<Record<Name, Cell>>

const types = { text: 'STRING', bytes: 'BYTE_ARRAY', int: 'INT32', long: 'INT64', time: 'TIMESTAMP' } as const

const rowsOfGroup = 20_000

/** `time` cells are epoch milliseconds. Any cell may be null. */
export function writeParquet<Name extends string>(columns: Columns<Name>, rows: readonly Row<Name>[]): Uint8Array {
  const names = Object.keys(columns) as Name[]
  const columnData = names.map((name) => {
    const kind = columns[name]
    const wide = kind === 'long' || kind === 'time'
    const data = rows.map((row) => (wide && typeof row[name] === 'number' ? BigInt(row[name]) : row[name]))
    const column = { name, data, type: types[kind], nullable: true, statistics: kind !== 'bytes', offsetIndex: false }
    // Bytes hardly repeat: to look for a dictionary of them costs more than all the rest.
    return kind === 'bytes' ? { ...column, encoding: 'PLAIN' as const } : column
  })
  const buffer = parquetWriteBuffer({
    columnData,
    codec: 'ZSTD',
    compressors: { ZSTD: (input: Uint8Array) => zstdCompressSync(input) },
    rowGroupSize: rowsOfGroup,
    createdBy: 'loyalty-stream',
  })
  return new Uint8Array(buffer)
}

export function rowsOfParquet(content: Uint8Array): number {
  return Number(parquetMetadata(bufferOf(content)).num_rows)
}

/** Rows of some columns, a group at a time. Times come as Date, whole numbers as bigint. Errors: those of the reader. */
export async function* readParquet(
  content: Uint8Array,
  columns: readonly string[],
): AsyncGenerator<readonly Record<string, unknown>[]> {
  const file = bufferOf(content)
  const metadata = parquetMetadata(file)
  const rows = Number(metadata.num_rows)
  for (let rowStart = 0; rowStart < rows; rowStart += rowsOfGroup)
    yield await parquetReadObjects({
      file,
      metadata,
      columns: [...columns],
      rowStart,
      rowEnd: Math.min(rows, rowStart + rowsOfGroup),
      utf8: false,
      compressors: { ZSTD: (input: Uint8Array) => zstdDecompressSync(input) },
    })
}

function bufferOf(content: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = content
  return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
}
