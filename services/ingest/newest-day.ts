import type avro from 'avsc'
import { parseSchema } from '#schemas/codec.ts'
import { EventDecoder } from '#schemas/decoder.ts'
import { schemaText } from '#schemas/published.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'

/** Of a block only the days of its facts; everything else is skipped unbuilt. */
interface DaysOfBlock {
  readonly facts: readonly { readonly day: number }[]
}

export type DaysDecoder = EventDecoder<{ TransactionsAccepted: DaysOfBlock }>

interface FieldSchema {
  readonly name: string
  readonly type: unknown
}

export function daysDecoder(registry: Registry): DaysDecoder {
  const schema = JSON.parse(schemaText('TransactionsAccepted')) as { fields: FieldSchema[] }
  const facts = schema.fields.find(({ name }) => name === 'facts')!
  const { items } = facts.type as { items: { fields: FieldSchema[] } }
  const onlyDay = { ...items, fields: items.fields.filter(({ name }) => name === 'day') }
  const reader = { ...schema, fields: [{ ...facts, type: { type: 'array', items: onlyDay } }] }
  return new EventDecoder(registry, [parseSchema(reader as unknown as avro.schema.AvroSchema) as avro.types.RecordType])
}

/** Newest day of an accepted transaction in blocks from `from` to `to`, per partition; null where there is none. */
export async function newestDayBetween(
  log: Log,
  topic: string,
  decoder: DaysDecoder,
  from: readonly number[],
  to: readonly number[],
): Promise<number | null> {
  let newest: number | null = null
  for (const [partition, end] of to.entries())
    for await (const { records } of readRange(log, topic, partition, from[partition] ?? 0, end))
      for (const { value } of records) {
        const decoded = await decoder.read(value)
        if (decoded.kind !== 'ok') continue
        for (const { day } of decoded.event.facts) if (newest === null || day > newest) newest = day
      }
  return newest
}
