import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseSchema } from '#schemas/codec.ts'
import { decoderOf, EventDecoder } from '#schemas/decoder.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import { schemaText, subjectOf } from '#schemas/published.ts'
import { openRegistry, type Registry, registerAll } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { type RunningRegistry, startRegistry } from '#services/registry/program.ts'
import { readRange } from '#streams/log/range.ts'
import { sale } from '../../schemas/samples.ts'
import { MemoryLog } from '../../support/memory-log.ts'

const topics = topicsOf('evolution')
const log = new MemoryLog()
let server: RunningRegistry
let registry: Registry

beforeAll(async () => {
  await log.admin.ensureTopics([{ topic: topics.transactions, partitions: 1, compacted: false }])
  server = await startRegistry({ log: log.connect(), topic: topics.schemas, port: 0 })
  registry = openRegistry({ url: server.url })
})
afterAll(() => server.close())

/** The second version: `channel`, with a default, before the last field. */
function second(): string {
  const schema = JSON.parse(schemaText('TransactionRecorded')) as { fields: object[] }
  schema.fields.splice(-1, 0, { name: 'channel', type: 'string', default: 'till' })
  return JSON.stringify(schema)
}

async function append(value: Buffer): Promise<void> {
  await log.writer().append(topics.transactions, 0, [{ key: Buffer.from(sale.client_id), value }])
}

async function readAll<T>(decoder: EventDecoder<T>): Promise<unknown[]> {
  const decoded: unknown[] = []
  const end = (await log.admin.endOffsets(topics.transactions))[0]!
  for await (const { records } of readRange(log, topics.transactions, 0, 0, end))
    for (const { value } of records) decoded.push(await decoder.read(value))
  return decoded
}

test('a second version arrives in the middle of the stream, and readers of both versions read on', async () => {
  const ids = await registerAll(registry, topics, ['TransactionRecorded'])
  const first = new EventEncoder('TransactionRecorded', ids.TransactionRecorded)
  const running = decoderOf(registry, 'TransactionRecorded')
  await append(first.encode({ ...sale, transaction_id: 'old-1' }))
  expect(await readAll(running)).toMatchObject([{ kind: 'ok', event: { transaction_id: 'old-1' } }])

  const secondType = parseSchema(second())
  const secondId = await registry.register(subjectOf('TransactionRecorded', topics), second())
  expect(secondId).not.toBe(ids.TransactionRecorded)
  const event = { ...sale, transaction_id: 'new-1', channel: 'web' }
  await append(Buffer.concat([Buffer.from([0, 0, 0, 0, secondId]), secondType.toBuffer(event)]))
  await append(first.encode({ ...sale, transaction_id: 'old-2' }))

  const expected = ['old-1', 'new-1', 'old-2'].map((transaction_id) => ({ ...sale, transaction_id }))
  expect(await readAll(running), 'the program that was running').toEqual(
    expected.map((each) => ({ kind: 'ok', name: 'TransactionRecorded', event: each })),
  )
  const upgraded = new EventDecoder<{ TransactionRecorded: object }>(registry, [secondType as never])
  const channels = (await readAll(upgraded)).map((each) => (each as { event: { channel: string } }).event.channel)
  expect(channels, 'its successor').toEqual(['till', 'web', 'till'])
})

test('a change that would strand old data is refused', async () => {
  const stranded = second().replace('{"name":"channel"', '{"name":"till","type":"string"},{"name":"channel"')
  await expect(registry.register(subjectOf('TransactionRecorded', topics), stranded)).rejects.toMatchObject({
    code: 'registry_incompatible',
  })
})
