import { open, readFile } from 'node:fs/promises'
import { bucketPath, emptyDirectory } from '../files/buckets.ts'
import type { EventSink } from './receipt-pass.ts'

/** Encoded events as they wait in buckets to be published. */

/** One event in a bucket: length of the rest (4), first row (8, double), partition (4), key length (2), key, value. */
const headBytes = 18

export function frame(firstRow: number, partition: number, key: Uint8Array, value: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(headBytes + key.length + value.length)
  writeFrame(bytes, 0, firstRow, partition, key, value)
  return bytes
}

/** Where the next frame goes. */
function writeFrame(
  bytes: Buffer,
  at: number,
  firstRow: number,
  partition: number,
  key: Uint8Array,
  value: Uint8Array,
): number {
  const end = at + headBytes + key.length + value.length
  bytes.writeUInt32LE(end - at - 4, at)
  bytes.writeDoubleLE(firstRow, at + 4)
  bytes.writeUInt32LE(partition, at + 12)
  bytes.writeUInt16LE(key.length, at + 16)
  bytes.set(key, at + headBytes)
  bytes.set(value, at + headBytes + key.length)
  return end
}

/** Bytes of a part; an event more may be in it. */
const partBytes = 2 * 1024 * 1024
const mostFrameBytes = 512 * 1024

/** Events that come in the order of the file, in one file after the other. */
export class EventParts implements EventSink {
  readonly #directory: string
  #part = Buffer.allocUnsafe(partBytes + mostFrameBytes)
  #length = 0
  #full: { readonly bytes: Buffer; readonly length: number }[] = []
  #written = 0

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Starts over: a directory with what an interrupted run left is emptied. */
  static async create(directory: string): Promise<EventParts> {
    await emptyDirectory(directory)
    return new EventParts(directory)
  }

  append(firstRow: number, partition: number, key: Uint8Array, value: Uint8Array): void {
    this.#length = writeFrame(this.#part, this.#length, firstRow, partition, key, value)
    if (this.#length < partBytes) return
    this.#full.push({ bytes: this.#part, length: this.#length })
    this.#part = Buffer.allocUnsafe(this.#part.length)
    this.#length = 0
  }

  async drain(): Promise<void> {
    for (const { bytes, length } of this.#full.splice(0)) await this.#write(bytes.subarray(0, length))
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
    const file = await open(bucketPath(this.#directory, this.#written++), 'w')
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
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
  const bytes = await readFile(bucketPath(directory, bucket))
  const events: PreparedEvent[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    const keyEnd = at + headBytes + bytes.readUInt16LE(at + 16)
    events.push({
      firstRow: bytes.readDoubleLE(at + 4),
      partition: bytes.readUInt32LE(at + 12),
      key: bytes.subarray(at + headBytes, keyEnd),
      value: bytes.subarray(keyEnd, end),
    })
    at = end
  }
  return events.sort((a, b) => a.firstRow - b.firstRow)
}
