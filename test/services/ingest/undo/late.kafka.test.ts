import { randomUUID } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import type { ProgrammeConfigured } from '#schemas/events.ts'
import { topicsOf } from '#schemas/topics.ts'
import { Generations } from '#services/ingest/undo/generations.ts'
import { publishLate } from '#services/ingest/undo/late.ts'
import { receiptKey } from '#services/ingest/undo/receipt-key.ts'
import { openKafkaLog } from '#streams/log/kafka/kafka-log.ts'
import { readLast } from '#streams/log/range.ts'
import { sharedKafka } from '../../../support/kafka/shared-kafka.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { tempDir } from '../../../support/temp-dir.ts'
import { saleOf, Tills } from '../dead-letters/support.ts'
import { prepareTopics } from '../support/world.ts'

const closers: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

test('the last look of an undo sees what was confirmed before it, also behind a transaction that somebody left open', async () => {
  const topics = topicsOf(`late-${randomUUID()}`)
  const registry = new MemoryRegistry()
  const dir = await tempDir('loyalty-late-')
  closers.push(() => dir.remove())
  const log = openKafkaLog({ brokers: await sharedKafka(), clientId: 'late' })
  closers.push(() => log.close())
  await prepareTopics(log, registry, topics, 1)
  const from = await log.admin.endOffsets(topics.transactions)
  const tills = await Tills.open(log, registry, topics, 1)
  const foreign = log.transactionalWriter(`foreign-${randomUUID()}`)
  closers.push(() => foreign.close())
  await foreign.fence()
  const other = saleOf({ client_id: 'c2', transaction_id: 'pos:i=2' })
  await foreign.append(topics.transactions, 0, [{ key: Buffer.from('c2'), value: tills.encode(other) }])
  await tills.send(saleOf({ client_id: 'c1', transaction_id: 'pos:i=1' }))

  const generations = await Generations.open(dir.path)
  const key = { hi: 0, lo: 0 }
  receiptKey('c1', 'pos:i=1', key)
  await generations.install('undo', new BigUint64Array([(BigInt(key.hi) << 32n) | BigInt(key.lo)]))
  const encoder = new EventEncoder('TransactionRecorded', await registry.idOf('TransactionRecorded'))
  const late = publishLate({
    ...{ log, topic: topics.transactions, registry, encoder, generations, from, purpose: 'undo', undone: new Set() },
    ...{ programme: { currency: 'GBP', partitions: 1 } as ProgrammeConfigured, taskId: 'undo', batchId: 'batch' },
  })
  // Readers are not shown anything behind the open transaction.
  expect(await log.admin.endOffsets(topics.transactions)).toEqual(from)
  expect(await Promise.race([late, log.admin.writtenEnds(topics.transactions).then(() => 'waits')])).toBe('waits')
  await foreign.commit()
  expect(await late).toBe(1)
  const last = await readLast(log, topics.transactions, 0)
  const decoded = await decoderOf(registry, 'TransactionRecorded').read(last!.value)
  expect(decoded).toMatchObject({ event: { client_id: 'c1', transaction_id: 'pos:i=1:g=1' } })
})
