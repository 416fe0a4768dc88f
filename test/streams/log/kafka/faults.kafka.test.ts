import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openKafkaLog } from '#streams/log/kafka/kafka-log.ts'
import type { Assignment, Log } from '#streams/log/log.ts'
import { readAll, record, records, take, text } from '../../../contracts/log/context.ts'
import { eventually } from '../../../support/eventually.ts'
import { apis, KafkaProxy } from '../../../support/kafka/kafka-proxy.ts'
import { type RunningKafka, startKafka } from '../../../support/kafka/start-kafka.ts'

let kafka: RunningKafka
let proxy: KafkaProxy
const logs: Log[] = []
let named = 0

beforeAll(async () => {
  proxy = await KafkaProxy.listen()
  kafka = await startKafka({
    settings: {
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${proxy.port}`,
      'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200',
    },
  })
  proxy.forwardTo(Number(kafka.brokers[0]!.split(':')[1]))
})
afterEach(async () => {
  await Promise.all(logs.splice(0).map((log) => log.close()))
})
afterAll(async () => {
  await proxy.close()
  await kafka.stop()
})

function open(options: { transactionTimeoutMs?: number; giveUpAfterMs?: number } = {}): Log {
  const log = openKafkaLog({ brokers: [`127.0.0.1:${proxy.port}`], clientId: 'faults', ...options })
  logs.push(log)
  return log
}

async function topicOn(log: Log, partitions = 1): Promise<string> {
  const topic = `faults-${++named}`
  await log.admin.ensureTopics([{ topic, partitions, compacted: false }])
  return topic
}

async function visible(log: Log, topic: string, values: string[]): Promise<void> {
  await eventually(async () => expect((await readAll(log, topic)).map(text)).toEqual(values) ?? true)
}

/** This is the first test of the file: no group has been used on this broker yet. */
test('on a fresh broker the first group offsets wait for the group coordinator', async () => {
  const log = open()
  const topic = await topicOn(log)
  const writer = log.transactionalWriter('fresh')
  await writer.fence()
  await writer.append(topic, 0, [record('first')])
  await writer.commit({ group: 'fresh', topic, offsets: new Map([[0, 7]]) })
  await eventually(async () => expect(await log.admin.groupOffsets('fresh', topic)).toEqual(new Map([[0, 7]])) ?? true)
})

test('coordinators are looked up once, not before every request', async () => {
  const log = open()
  const topic = await topicOn(log)
  const before = proxy.counts.get(apis.findCoordinator) ?? 0
  const writer = log.transactionalWriter('cached')
  await writer.fence()
  for (let round = 0; round < 10; round++) {
    await writer.append(topic, 0, [record(`r${round}`)])
    await writer.commit({ group: 'cached', topic, offsets: new Map([[0, round]]) })
  }
  expect((proxy.counts.get(apis.findCoordinator) ?? 0) - before).toBeLessThanOrEqual(2)
})

test('appends made together go out in one request', async () => {
  const log = open()
  const topic = await topicOn(log, 4)
  const writer = log.transactionalWriter('together')
  await writer.fence()
  const append = () => Promise.all([0, 1, 2, 3].map((partition) => writer.append(topic, partition, records(100))))
  // A topic this young may be refused at first.
  await append()
  await writer.commit()
  const before = proxy.counts.get(apis.produce) ?? 0
  await append()
  expect((proxy.counts.get(apis.produce) ?? 0) - before).toBe(1)
  await writer.commit()
})

describe('a transaction', () => {
  test('whose commit was carried out but not answered is in doubt, and is found by its successor', async () => {
    const log = open()
    const topic = await topicOn(log)
    const writer = log.transactionalWriter('reply-lost')
    await writer.fence()
    await writer.append(topic, 0, [record('kept')])
    const struck = proxy.once(apis.endTxn, 'lose-reply')
    await expect(writer.commit()).rejects.toMatchObject({ code: 'log_commit_unknown' })
    await struck
    // Nothing more can be done with a writer in doubt: its next transaction could be settled by the lost request.
    await expect(writer.append(topic, 0, [record('no')])).rejects.toMatchObject({ code: 'log_commit_unknown' })
    await writer.close()
    const successor = log.transactionalWriter('reply-lost')
    await successor.fence()
    expect((await readAll(log, topic)).map(text)).toEqual(['kept'])
  })

  test('whose commit never arrived is in doubt too, and is gone after the fence', async () => {
    const log = open()
    const topic = await topicOn(log)
    const writer = log.transactionalWriter('request-lost')
    await writer.fence()
    await writer.append(topic, 0, [record('dropped')])
    const struck = proxy.once(apis.endTxn, 'lose-request')
    await expect(writer.commit()).rejects.toMatchObject({ code: 'log_commit_unknown' })
    await struck
    const successor = log.transactionalWriter('request-lost')
    await successor.fence()
    await successor.append(topic, 0, [record('after')])
    await successor.commit()
    await visible(log, topic, ['after'])
  })

  test('whose records may not have arrived is surely not committed', async () => {
    const log = open()
    const topic = await topicOn(log)
    for (const kind of ['lose-reply', 'lose-request'] as const) {
      const writer = log.transactionalWriter(`produce-${kind}`)
      await writer.fence()
      void proxy.once(apis.produce, kind)
      await expect(writer.append(topic, 0, [record(kind)])).rejects.toMatchObject({ code: 'log_unavailable' })
      await expect(writer.commit()).rejects.toMatchObject({ code: 'log_unavailable' })
      await writer.close()
      const successor = log.transactionalWriter(`produce-${kind}`)
      await successor.fence()
      await successor.append(topic, 0, [record(`after ${kind}`)])
      await successor.commit()
    }
    await visible(log, topic, ['after lose-reply', 'after lose-request'])
  })

  test('survives lost replies to all that may be asked twice', async () => {
    const log = open()
    const topic = await topicOn(log)
    const writer = log.transactionalWriter('repeatable')
    void proxy.once(apis.initProducerId, 'lose-reply')
    await writer.fence()
    const values: string[] = []
    for (const api of [apis.addPartitionsToTxn, apis.addOffsetsToTxn, apis.txnOffsetCommit]) {
      const struck = proxy.once(api, 'lose-reply')
      await writer.append(topic, 0, [record(`r${api}`)])
      await writer.commit({ group: 'repeatable', topic, offsets: new Map([[0, api]]) })
      await struck
      values.push(`r${api}`)
    }
    await visible(log, topic, values)
    await eventually(
      async () =>
        expect(await log.admin.groupOffsets('repeatable', topic)).toEqual(new Map([[0, apis.txnOffsetCommit]])) ?? true,
    )
  })

  test('that is open too long is ended by the broker, and its commit is refused', async () => {
    const log = open({ transactionTimeoutMs: 1_000 })
    const topic = await topicOn(log)
    const writer = log.transactionalWriter('slow')
    await writer.fence()
    await writer.append(topic, 0, [record('too late')])
    // The broker has ended it when what comes after it can be read.
    await log.writer().append(topic, 0, [record('other')])
    await eventually(async () => expect((await readAll(log, topic)).map(text)).toEqual(['other']) ?? true, {
      timeoutMs: 20_000,
    })
    await expect(writer.commit()).rejects.toMatchObject({ code: 'log_fenced' })
    await visible(log, topic, ['other'])
  })
})

test('an append outside transactions whose reply is lost is sent again and counted once', async () => {
  const log = open()
  const topic = await topicOn(log)
  const writer = log.writer()
  await writer.append(topic, 0, [record('first')])
  const struck = proxy.once(apis.produce, 'lose-reply')
  const offset = await writer.append(topic, 0, records(3))
  await struck
  expect(offset).toBe(1)
  await writer.append(topic, 0, [record('last')])
  expect((await readAll(log, topic)).map(text)).toEqual(['first', 'r0', 'r1', 'r2', 'last'])
})

test('a reader whose connection breaks goes on where it was', async () => {
  const log = open()
  const topic = await topicOn(log)
  const reader = log.reader()
  reader.seek(topic, 0, 0)
  const writer = log.writer()
  const seen: string[] = []
  for (let round = 0; round < 6; round++) {
    const struck = proxy.once(apis.fetch, round % 2 === 0 ? 'lose-reply' : 'lose-request')
    await writer.append(topic, 0, [record(`r${round}`)])
    seen.push(...(await take(reader, 1)).map(text))
    await struck
  }
  expect(seen).toEqual(['r0', 'r1', 'r2', 'r3', 'r4', 'r5'])
})

test('a broker killed and started again is found again by readers, writers, groups and admin; nothing is lost or doubled', async () => {
  const log = open()
  const topic = await topicOn(log, 2)
  const reader = log.reader()
  for (const partition of [0, 1]) reader.seek(topic, partition, 0)
  const writer = log.writer()
  const assigned: Assignment[] = []
  let revoked = 0
  const member = await log.join({
    group: 'restart',
    topic,
    sessionTimeoutMs: 3_000,
    onAssigned: (assignment) => assigned.push(assignment),
    onRevoked: () => revoked++,
  })
  await eventually(() => assigned.length > 0)
  const txn = log.transactionalWriter('restart')
  await txn.fence()
  await txn.append(topic, 1, [record('before')])
  await txn.commit()
  await txn.append(topic, 1, [record('lost with the broker')])
  await writer.append(topic, 0, records(5))
  const seen = (await take(reader, 6)).map(text)

  await kafka.kill9()
  const during = writer.append(topic, 0, records(5, 'r', 5))
  await expect(txn.commit()).rejects.toMatchObject({
    code: expect.stringMatching(/^log_(commit_unknown|unavailable)$/),
  })
  await txn.close()
  await kafka.restart()

  await during
  const successor = log.transactionalWriter('restart')
  await successor.fence()
  await successor.append(topic, 1, [record('after')])
  await successor.commit()
  // While the broker is away a poll may say so; positions are kept.
  while (seen.length < 12)
    for (const batch of await reader.poll(1_000).catch(() => [])) seen.push(...batch.records.map(text))
  expect(seen.filter((value) => value.startsWith('r'))).toEqual(records(10).map(text))
  expect(seen.filter((value) => !value.startsWith('r'))).toEqual(['before', 'after'])
  await eventually(() => member.stillMember(), { timeoutMs: 20_000 })
  expect(assigned.at(-1)!.partitions).toEqual([0, 1])
  expect(await log.admin.partitions(topic)).toBe(2)
}, 90_000)

test('a broker that is away is reported as unavailable by all, and close does not wait for it', async () => {
  const log = openKafkaLog({ brokers: ['127.0.0.1:1'], clientId: 'nobody', giveUpAfterMs: 300 })
  const unavailable = { code: 'log_unavailable', retriable: true }
  const reader = log.reader()
  reader.seek('t', 0, 0)
  await expect(log.writer().append('t', 0, [record('x')])).rejects.toMatchObject(unavailable)
  await expect(take(reader, 1, 10_000)).rejects.toMatchObject(unavailable)
  await expect(log.admin.endOffsets('t')).rejects.toMatchObject(unavailable)
  const startedAt = performance.now()
  await log.close()
  expect(performance.now() - startedAt).toBeLessThan(3_000)
}, 60_000)
