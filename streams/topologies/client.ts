import { Ledger, type LedgerSettings } from '../domain/ledger.ts'

/**
 * What is kept of the row last emitted for a client, which is in the log. The next one is compared with it by a 64-bit hash
 * of the values: two rows of one client that differ and have the same hash come once in 10^19 comparisons.
 */
export interface EmittedRow {
  readonly valuesHi: number
  readonly valuesLo: number
  readonly version: number
  readonly segment: string | null
  readonly loyaltyScore: number | null
}

/** What a task knows of one client: its ledger, its row, and two running numbers that facts show. */
export class Client {
  readonly id: string
  /** The id in UTF-8: key of its records. */
  readonly key: Buffer
  readonly ledger: Ledger
  row: EmittedRow | null
  /** Counted sales, whatever their day. */
  counted: number
  /** Newest day of a counted sale seen, or -1. */
  lastDay: number

  constructor(id: string, key: Buffer, ledger: Ledger, row: EmittedRow | null, counted: number, lastDay: number) {
    this.id = id
    this.key = key
    this.ledger = ledger
    this.row = row
    this.counted = counted
    this.lastDay = lastDay
  }

  /** A client of which nothing is known yet. `key` becomes its own. */
  static unknown(id: string, key: Buffer, settings: LedgerSettings): Client {
    return new Client(id, key, Ledger.empty(settings), null, 0, -1)
  }

  /** A copy that may be changed without this one being touched. */
  fork(): Client {
    return new Client(this.id, this.key, this.ledger.fork(), this.row, this.counted, this.lastDay)
  }

  /** What it takes in memory, about. */
  get estimatedBytes(): number {
    return 420 + this.ledger.count * 48 + this.id.length * 2
  }
}

const format = 2
const fixedLength = 32
const noScore = -1

/**
 * Layout of a stored client: format u8, has row u8, segment length u16, loyalty score i16, reserved u16, hash of the row's
 * values 2 × u32, version f64, counted u32, last day i32; segment, padding to four bytes, ledger head.
 */
export function encodeClient(client: Client): Buffer {
  const { row } = client
  const head = client.ledger.encodeHead()
  const segment = row?.segment ?? ''
  const segmentLength = Buffer.byteLength(segment)
  const headAt = (fixedLength + segmentLength + 3) & ~3
  const target = Buffer.allocUnsafe(headAt + head.length)
  target[0] = format
  target[1] = row === null ? 0 : 1
  target.writeUInt16LE(segmentLength, 2)
  target.writeInt16LE(row?.loyaltyScore ?? noScore, 4)
  target.writeUInt16LE(0, 6)
  target.writeUInt32LE(row?.valuesHi ?? 0, 8)
  target.writeUInt32LE(row?.valuesLo ?? 0, 12)
  target.writeDoubleLE(row?.version ?? 0, 16)
  target.writeUInt32LE(client.counted, 24)
  target.writeInt32LE(client.lastDay, 28)
  if (segmentLength > 0) target.write(segment, fixedLength)
  target.fill(0, fixedLength + segmentLength, headAt)
  target.set(head, headAt)
  return target
}

/**
 * From what `encodeClient` gave. The bytes are copied, `key` becomes the client's own. Errors: RangeError where they are of
 * no known format.
 */
export function decodeClient(id: string, key: Buffer, bytes: Uint8Array, settings: LedgerSettings): Client {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (source[0] !== format) throw new RangeError(`stored client of unknown format ${source[0]}`)
  const segmentEnd = fixedLength + source.readUInt16LE(2)
  const score = source.readInt16LE(4)
  const row: EmittedRow | null =
    source[1] === 0
      ? null
      : {
          valuesHi: source.readUInt32LE(8),
          valuesLo: source.readUInt32LE(12),
          version: source.readDoubleLE(16),
          segment: segmentEnd === fixedLength ? null : source.toString('utf8', fixedLength, segmentEnd),
          loyaltyScore: score === noScore ? null : score,
        }
  const ledger = Ledger.decode(source.subarray((segmentEnd + 3) & ~3), id, settings)
  return new Client(id, key, ledger, row, source.readUInt32LE(24), source.readInt32LE(28))
}
