import { readFile } from 'node:fs/promises'
import { bucketPath } from '../files/buckets.ts'

/** Encoded events as they wait in buckets to be published. */

/** One event in a bucket: length of the rest (4), first row (8, double), partition (4), key length (2), key, value. */
const headBytes = 18

export function frame(firstRow: number, partition: number, key: Uint8Array, value: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(headBytes + key.length + value.length)
  bytes.writeUInt32LE(bytes.length - 4, 0)
  bytes.writeDoubleLE(firstRow, 4)
  bytes.writeUInt32LE(partition, 12)
  bytes.writeUInt16LE(key.length, 16)
  bytes.set(key, headBytes)
  bytes.set(value, headBytes + key.length)
  return bytes
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
