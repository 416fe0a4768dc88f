import { schemaIdOf, writeFrame } from '#schemas/codec.ts'
import type { Log } from '#streams/log/log.ts'
import { readFirst } from '#streams/log/range.ts'
import type { Letter } from './letter.ts'

/** The value before it was cut, from the record that was refused; `gone` where that is not there any more. */
export async function wholeValue(log: Log, { about, value }: Letter): Promise<Uint8Array | null | 'gone'> {
  const { topic, partition, offset, truncatedFrom } = about
  if (truncatedFrom === null) return value
  const [starts, ends] = await Promise.all([log.admin.startOffsets(topic), log.admin.endOffsets(topic)])
  if (offset < (starts[partition] ?? Number.POSITIVE_INFINITY) || offset >= (ends[partition] ?? 0)) return 'gone'
  const original = await readFirst(log, topic, partition, offset, offset + 1)
  return original?.value?.length === truncatedFrom ? original.value : 'gone'
}

/** The value under another schema id; as it is where it has no frame, or has that id already. */
export function underSchema(value: Uint8Array, schemaId: number): Uint8Array {
  const before = schemaIdOf(value)
  if (before === null || before === schemaId) return value
  const framed = Buffer.from(value)
  writeFrame(framed, 0, schemaId)
  return framed
}
