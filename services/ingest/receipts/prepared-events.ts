import { readFile } from 'node:fs/promises'
import { bucketPath, emptyDirectory, writeDurably } from '../files/buckets.ts'
import type { EventSink } from './receipt-pass.ts'

/** Encoded events as they wait in buckets to be published. */

/**
 * One event in a bucket: length of the rest (4), number of its first row (8, double), partition (4), key length (2), how
 * many further rows it is made of (4), their numbers (4 each), key, value.
 */
const headBytes = 22

/** `rows`: what the event is made of, at least one row. */
export function frame(
  rows: readonly { readonly number: number }[],
  partition: number,
  key: Uint8Array,
  value: Uint8Array,
): Uint8Array {
  const bytes = Buffer.allocUnsafe(headBytes + 4 * (rows.length - 1) + key.length + value.length)
  writeFrame(bytes, 0, rows, partition, key, value)
  return bytes
}

/** Where the next frame goes. */
function writeFrame(
  bytes: Buffer,
  at: number,
  rows: readonly { readonly number: number }[],
  partition: number,
  key: Uint8Array,
  value: Uint8Array,
): number {
  const keyAt = at + headBytes + 4 * (rows.length - 1)
  const end = keyAt + key.length + value.length
  bytes.writeUInt32LE(end - at - 4, at)
  bytes.writeDoubleLE(rows[0]!.number, at + 4)
  bytes.writeUInt32LE(partition, at + 12)
  bytes.writeUInt16LE(key.length, at + 16)
  bytes.writeUInt32LE(rows.length - 1, at + 18)
  for (let i = 1; i < rows.length; i++) bytes.writeUInt32LE(rows[i]!.number, at + headBytes + 4 * (i - 1))
  bytes.set(key, keyAt)
  bytes.set(value, keyAt + key.length)
  return end
}

/** Bytes of a part; an event more may be in it. */
const partBytes = 2 * 1024 * 1024
const mostFrameBytes = 1024 * 1024

/** Events that come in the order of the file, in one file after the other. */
export class EventParts implements EventSink {
  readonly #directory: string
  #part = Buffer.allocUnsafe(partBytes + mostFrameBytes)
  #length = 0
  #full: { readonly bytes: Buffer<ArrayBuffer>; readonly length: number }[] = []
  /** Written parts, to be filled again. */
  readonly #free: Buffer<ArrayBuffer>[] = []
  #written = 0

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Starts over: a directory with what an interrupted run left is emptied. */
  static async create(directory: string): Promise<EventParts> {
    await emptyDirectory(directory)
    return new EventParts(directory)
  }

  append(rows: readonly { readonly number: number }[], partition: number, key: Uint8Array, value: Uint8Array): void {
    this.#length = writeFrame(this.#part, this.#length, rows, partition, key, value)
    if (this.#length < partBytes) return
    this.#full.push({ bytes: this.#part, length: this.#length })
    this.#part = this.#free.pop() ?? Buffer.allocUnsafe(this.#part.length)
    this.#length = 0
  }

  async drain(): Promise<void> {
    for (const { bytes, length } of this.#full.splice(0)) {
      await this.#write(bytes.subarray(0, length))
      this.#free.push(bytes)
    }
  }

  async finish(): Promise<number> {
    await this.drain()
    if (this.#length > 0) await this.#write(this.#part.subarray(0, this.#length))
    this.#length = 0
    return this.#written
  }

  /** Nothing is left open between writes. */
  async close(): Promise<void> {}

  async #write(bytes: Uint8Array): Promise<void> {
    await writeDurably(bucketPath(this.#directory, this.#written++), bytes)
  }
}

export interface PreparedEvent {
  readonly firstRow: number
  readonly partition: number
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** Events of a bucket in the order of the file. */
export async function readEvents(directory: string, bucket: number): Promise<PreparedEvent[]> {
  const events: PreparedEvent[] = []
  for (const { event } of framesOf(await readFile(bucketPath(directory, bucket)))) events.push(event)
  return events.sort((a, b) => a.firstRow - b.firstRow)
}

/** As `readEvents`, each with the numbers of the rows that it is made of. */
export async function readEventsWithRows(
  directory: string,
  bucket: number,
): Promise<{ readonly event: PreparedEvent; readonly rows: readonly number[] }[]> {
  const bytes = await readFile(bucketPath(directory, bucket))
  const events = Array.from(framesOf(bytes), ({ event, at }) => {
    const further = Array.from({ length: bytes.readUInt32LE(at + 18) }, (_, i) =>
      bytes.readUInt32LE(at + headBytes + 4 * i),
    )
    return { event, rows: [event.firstRow, ...further] }
  })
  return events.sort((a, b) => a.event.firstRow - b.event.firstRow)
}

/** `at`: where a frame begins. */
function* framesOf(bytes: Buffer): Generator<{ readonly event: PreparedEvent; readonly at: number }> {
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    const keyAt = at + headBytes + 4 * bytes.readUInt32LE(at + 18)
    const valueAt = keyAt + bytes.readUInt16LE(at + 16)
    const event = {
      firstRow: bytes.readDoubleLE(at + 4),
      partition: bytes.readUInt32LE(at + 12),
      key: bytes.subarray(keyAt, valueAt),
      value: bytes.subarray(valueAt, end),
    }
    yield { event, at }
    at = end
  }
}
