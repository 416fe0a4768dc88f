import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { readAll } from '../contracts/log/context.ts'
import { pythonWithConfluentKafka, run } from '../support/kafka/foreign-clients.ts'
import { type Interop, openInterop, sale } from './interop-fixture.ts'

const script = new URL('confluent_avro.py', import.meta.url).pathname
const schemaFile = new URL('../../schemas/transaction-recorded.v1.avsc', import.meta.url).pathname
const found = await pythonWithConfluentKafka()
if ('missing' in found) console.warn(`Python interop is not tested: ${found.missing}`)

/** The program's output; it may warn on standard error, but must not fail. */
async function succeeded(running: ReturnType<typeof run>) {
  const ended = await running
  if (ended.status !== 0) throw new Error(`Python ended with ${ended.status}: ${ended.output}`)
  return ended
}

describe.skipIf('missing' in found && process.env.CI !== 'true')('Confluent’s Python client with our registry', () => {
  let interop: Interop
  const python = 'python' in found ? found.python : 'python3'

  beforeAll(async () => {
    interop = await openInterop()
  })
  afterAll(() => interop?.close())

  // The broker unpacks every codec, because the topic is created with compression.type=uncompressed.
  test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])(
    'publishes events that we read, compressed by %s, in the partitions where we would put them',
    async (codec) => {
      const { brokers, log, registry, registryServer, topic } = interop
      const before = await log.admin.endOffsets(topic)
      const events = Array.from({ length: 100 }, (_, index) => sale(index))
      const input = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''))
      const args = ['publish', brokers, registryServer.url, topic, schemaFile, codec]
      await succeeded(run(python, [script, ...args], { input }))

      const decoder = decoderOf(registry, 'TransactionRecorded')
      const read = []
      for (let partition = 0; partition < 4; partition++) {
        for (const { key, value } of await readAll(log, topic, partition, before[partition])) {
          const decoded = await decoder.read(value)
          if (decoded.kind !== 'ok') throw new Error(decoded.kind)
          expect(String(Buffer.from(key!))).toBe(decoded.event.client_id)
          expect(partitionOf(key!, 4)).toBe(partition)
          read.push(decoded.event)
        }
      }
      const byId = (a: { transaction_id: string }, b: { transaction_id: string }) =>
        a.transaction_id < b.transaction_id ? -1 : 1
      expect(read.sort(byId)).toEqual(events.toSorted(byId))
    },
  )

  test('reads events that we publish, with keys and headers, committed ones only', async () => {
    const other = await openInterop()
    try {
      const { brokers, log, registryServer, topic, encoder } = other
      const writer = log.transactionalWriter(`${topic}-interop`)
      await writer.fence()
      const append = async (from: number, to: number) => {
        for (let index = from; index < to; index++) {
          const event = sale(index)
          const key = Buffer.from(event.client_id)
          const headers = { origin: Buffer.from(`unit ${index}`) }
          await writer.append(topic, partitionOf(key, 4), [{ key, value: encoder.encode(event), headers }])
        }
      }
      await append(0, 20)
      await writer.abort()
      await append(20, 60)
      await writer.commit()
      const { stdout } = await succeeded(
        run(python, ['-W', 'ignore', script, 'read', brokers, registryServer.url, topic, '40']),
      )
      const read = String(stdout)
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .sort((a, b) => a.event.occurred_at - b.event.occurred_at)
      expect(read).toEqual(
        Array.from({ length: 40 }, (_, index) => {
          const event = sale(20 + index)
          return { key: event.client_id, headers: { origin: `unit ${20 + index}` }, event }
        }),
      )
    } finally {
      await other.close()
    }
  })
})
