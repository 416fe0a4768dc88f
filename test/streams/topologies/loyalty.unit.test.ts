import { afterEach, expect, test } from 'vitest'
import { decodeDeadLetterHeaders } from '#schemas/dead-letter.ts'
import { decoderOf } from '#schemas/decoder.ts'
import { forwardedFrom, forwardHeaders } from '#schemas/forward.ts'
import { schemaText } from '#schemas/published.ts'
import { registerAll } from '#schemas/registry.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { eventually } from '../../support/eventually.ts'
import { readBlocks } from '../../support/loyalty/blocks.ts'
import { type DriverOptions, TopologyDriver } from '../../support/loyalty/driver.ts'
import { sale } from '../../support/loyalty/publisher.ts'
import { ruleLoader } from '../../support/loyalty/rule-classifier.ts'

const jan10 = 19_732
const dayMs = 86_400_000
let driver: TopologyDriver

async function open(options?: DriverOptions): Promise<TopologyDriver> {
  driver = await TopologyDriver.open(options)
  return driver
}

afterEach(() => driver.close())

async function started(options?: DriverOptions) {
  const { publisher } = await open(options)
  await publisher.programme()
  await publisher.model('1')
  await publisher.cutPoints([30], [1], [5_000])
  await publisher.day(jan10)
  return { publisher, worker: await driver.startWorker() }
}

test('a purchase, a refund and a void of a client become its row, its segments and facts', async () => {
  const { publisher, worker } = await started()
  await publisher.transactions([
    sale('anna', { transaction_id: 'a1', occurred_at: (jan10 - 5) * dayMs, amount_minor: 4_000 }),
    sale('anna', { transaction_id: 'a2', occurred_at: jan10 * dayMs, amount_minor: 6_000 }),
    sale('anna', { transaction_id: 'a3', kind: 'REFUND', original_transaction_id: 'a1', amount_minor: 1_000 }),
    sale('boris', { transaction_id: 'b1', occurred_at: (jan10 - 1) * dayMs }),
    sale('boris', { transaction_id: 'b2', kind: 'VOID', amount_minor: 0, original_transaction_id: 'b1' }),
  ])
  await driver.settled(worker)
  const { rows } = await driver.check()
  expect(rows.anna).toMatchObject({
    frequency: 2,
    monetary_gross_minor: 10_000,
    monetary_net_minor: 9_000,
    last_purchase_day: jan10,
    rfm_score: '222',
    segment: 'loyal',
    loyalty_score: 100,
  })
  expect(rows.boris).toMatchObject({
    frequency: 0,
    last_purchase_at: null,
    rfm_score: null,
    segment: null,
    transactions: 2,
  })
})

test('before the first day a row has no scores and no segment; the day brings them by one sweep', async () => {
  const { publisher } = await open()
  await publisher.programme()
  await publisher.model('1')
  const worker = await driver.startWorker()
  await publisher.transactions(Array.from({ length: 50 }, (_, i) => sale(`c${i}`)))
  await driver.settled(worker)
  expect((await driver.check()).rows.c1).toMatchObject({
    frequency: 1,
    rfm_score: null,
    segment: null,
    loyalty_score: null,
  })
  await publisher.cutPoints([30], [1], [5_000])
  await publisher.day(jan10)
  await driver.settled(worker)
  const after = await driver.check()
  expect(after.rows.c1).toMatchObject({ frequency: 1, rfm_score: '211', segment: 'new' })
  expect(Object.keys(after.rows)).toHaveLength(50)
})

test('a later day moves clients by sweep in slices, and an older day changes nothing', async () => {
  const { publisher, worker } = await started({ settings: { sweepSlice: 3 } })
  await publisher.transactions(
    Array.from({ length: 40 }, (_, i) => sale(`c${i}`, { occurred_at: (jan10 - i) * dayMs })),
  )
  await driver.settled(worker)
  await publisher.day(jan10 + 100)
  await driver.settled(worker)
  const { rows } = await driver.check()
  expect(rows.c1).toMatchObject({ segment: 'at_risk' })
  const records = driver.log.records(driver.topics.clientState).length
  await publisher.day(jan10 + 50)
  await driver.settled(worker)
  expect(driver.log.records(driver.topics.clientState)).toHaveLength(records)
})

test('reclassifications name their cause and the transactions behind it', async () => {
  const { publisher, worker } = await started()
  await publisher.transactions([sale('anna', { transaction_id: 'a1' })])
  await driver.settled(worker)
  await publisher.transactions([sale('anna', { transaction_id: 'a2' })])
  await driver.settled(worker)
  await publisher.day(jan10 + 200)
  await driver.settled(worker)
  await publisher.model('5')
  await driver.settled(worker)
  await publisher.transactions([
    sale('anna', { transaction_id: 'a3', kind: 'VOID', amount_minor: 0, original_transaction_id: 'a1' }),
    sale('anna', { transaction_id: 'a4', kind: 'VOID', amount_minor: 0, original_transaction_id: 'a2' }),
  ])
  await driver.settled(worker)
  await driver.check()
  const decoder = decoderOf(driver.registry, 'ClientReclassified')
  const changes = await Promise.all(
    driver.log.records(driver.topics.clientReclassified).map(async ({ value }) => {
      const decoded = await decoder.read(value)
      if (decoded.kind !== 'ok') throw new Error(decoded.kind)
      const { before, after, cause, transaction_ids } = decoded.event
      return { before, after, cause, transaction_ids }
    }),
  )
  expect(changes).toEqual([
    { before: null, after: 'new', cause: 'purchase', transaction_ids: ['a1'] },
    { before: 'new', after: 'loyal', cause: 'purchase', transaction_ids: ['a2'] },
    { before: 'loyal', after: 'sleeping', cause: 'time', transaction_ids: [] },
    { before: 'sleeping', after: 'at_risk', cause: 'model', transaction_ids: [] },
    { before: 'at_risk', after: null, cause: 'correction', transaction_ids: ['a3', 'a4'] },
  ])
})

test('a repeated transaction counts once, with other content it is a dead letter', async () => {
  const { publisher, worker } = await started()
  const first = sale('anna', { transaction_id: 'a1' })
  await publisher.transactions([first, first, { ...first, source: 'upload:7' }, { ...first, amount_minor: 5 }])
  await driver.settled(worker)
  expect(await driver.check()).toMatchObject({ accepted: 1, duplicates: 2, dead: 1, grossSum: 1_000 })
})

test('an amount that would make sums of a client inexact is a dead letter, and what comes after it counts', async () => {
  const { publisher, worker } = await started({ partitions: 1 })
  const card = 4_276_550_012_345_678
  await publisher.transactions([
    sale('anna', { transaction_id: 'a1', amount_minor: card }),
    sale('anna', { transaction_id: 'a2', amount_minor: card }),
    sale('anna', { transaction_id: 'a3', kind: 'REFUND', amount_minor: card }),
    sale('anna', { transaction_id: 'a4', amount_minor: 5_000 }),
    sale('anna', { transaction_id: 'a1', amount_minor: card }),
    sale('boris', { transaction_id: 'b1', amount_minor: 2 ** 52 }),
  ])
  await driver.settled(worker)
  const { rows } = await driver.check()
  expect(rows.anna).toMatchObject({ frequency: 2, monetary_gross_minor: card + 5_000, refunded_minor: 0 })
  expect(rows.boris).toMatchObject({ monetary_gross_minor: 2 ** 52 })
  const letters = driver.log.records(driver.topics.deadLetters).map(({ headers }) => decodeDeadLetterHeaders(headers))
  expect(letters.map(({ reason }) => reason)).toEqual(['sums_too_large', 'sums_too_large'])
  expect(letters[0]!.detail).toContain('a2')
})

test('poison goes to dead letters with its reason and raw bytes, and its neighbours are taken in', async () => {
  const { publisher, worker } = await started({ partitions: 1, settings: { deadLetterShare: 1 } })
  const good = publisher.encode(sale('anna'))
  const framed = Buffer.from(good.value!)
  const unknown = Buffer.from(framed)
  unknown.writeUInt32BE(9_999, 1)
  await publisher.transactions([sale('anna')])
  await publisher.raw(0, { key: Buffer.from('anna'), value: Buffer.from('no frame') })
  await publisher.raw(0, { key: Buffer.from('anna'), value: framed.subarray(0, framed.length - 3) })
  await publisher.raw(0, { key: Buffer.from('anna'), value: null })
  await publisher.raw(0, { key: Buffer.from('anna'), value: unknown })
  await publisher.raw(0, { key: Buffer.from('other'), value: framed })
  await publisher.raw(0, { key: null, value: framed })
  await publisher.raw(0, { key: Buffer.from('anna'), value: Buffer.alloc(300_000) })
  await publisher.transactions([
    sale('anna', { currency: 'RUB' }),
    sale('anna', { kind: 'UNKNOWN' }),
    sale('anna', { amount_minor: -1 }),
    sale('anna'),
  ])
  await driver.settled(worker)
  expect(await driver.check()).toMatchObject({ accepted: 2, dead: 10 })
  const letters = driver.log.records(driver.topics.deadLetters)
  expect(letters.map(({ headers }) => decodeDeadLetterHeaders(headers).reason)).toEqual([
    'undecodable',
    'undecodable',
    'undecodable',
    'unknown_schema',
    'invalid',
    'invalid',
    'too_large',
    'wrong_currency',
    'invalid',
    'invalid',
  ])
  expect(Buffer.from(letters[0]!.value!).toString()).toBe('no frame')
  expect(decodeDeadLetterHeaders(letters[3]!.headers).schemaId).toBe(9_999)
})

test('a record in a partition its key does not belong to is passed on with its bytes and headers, and counts once', async () => {
  const { publisher, worker } = await started({ partitions: 4 })
  const record = { ...publisher.encode(sale('anna')), headers: { origin: Buffer.from('till 7') } }
  const proper = partitionOf(record.key!, 4)
  const wrong = (proper + 1) % 4
  await publisher.raw(wrong, record)
  await driver.settled(worker)
  const [original] = driver.log.records(driver.topics.transactions, wrong)
  const [passedOn] = driver.log.records(driver.topics.transactions, proper)
  expect(passedOn).toMatchObject({ key: record.key, value: record.value, headers: record.headers })
  expect(forwardedFrom(passedOn!.headers)).toEqual({
    ...{ partition: wrong, offset: original!.offset, timestampMs: original!.timestampMs },
  })
  expect(await driver.check()).toMatchObject({ accepted: 1, dead: 0, forwarded: 1, countSum: 1 })
  expect(driver.steps.reduce((sum, { forwarded }) => sum + forwarded, 0)).toBe(1)
})

test('a till that always takes the wrong partition does not stop a task', async () => {
  const { publisher, worker } = await started({ partitions: 2, settings: { deadLetterWindow: 20, maxStepRecords: 9 } })
  const events = Array.from({ length: 40 }, (_, i) => sale(`c${i % 7}`))
  await publisher.misplaced([...events, events[3]!])
  await driver.settled(worker)
  expect(driver.stopped).toEqual([])
  expect(await driver.check()).toMatchObject({ accepted: 40, duplicates: 1, dead: 0, forwarded: 41 })
})

test.each([
  ['was passed on before', { [forwardHeaders.offset]: Buffer.from('3') }, 'was forwarded before'],
  ['has headers so large that it might not fit', { note: Buffer.alloc(65_536) }, 'bytes of headers'],
])('a record in a wrong partition that %s is a dead letter', async (_, headers, detail) => {
  const { publisher, worker } = await started({ partitions: 4, settings: { deadLetterShare: 1 } })
  const record = publisher.encode(sale('anna'))
  const wrong = (partitionOf(record.key!, 4) + 1) % 4
  await publisher.raw(wrong, { ...record, headers })
  await driver.settled(worker)
  const [letter] = driver.log.records(driver.topics.deadLetters, wrong)
  expect(decodeDeadLetterHeaders(letter!.headers)).toMatchObject({ reason: 'wrong_partition' })
  expect(decodeDeadLetterHeaders(letter!.headers).detail).toContain(detail)
  expect(driver.log.records(driver.topics.transactions)).toHaveLength(1)
})

test('a record that was passed on and is refused where it belongs is a dead letter there', async () => {
  const { publisher, worker } = await started({ partitions: 2, settings: { deadLetterShare: 1 } })
  const event = sale('anna')
  await publisher.transactions([event])
  await driver.settled(worker)
  await publisher.misplaced([{ ...event, amount_minor: 7 }])
  await driver.settled(worker)
  expect(await driver.check()).toMatchObject({ accepted: 1, dead: 1, forwarded: 1 })
  const [letter] = driver.log.records(driver.topics.deadLetters)
  expect(decodeDeadLetterHeaders(letter!.headers)).toMatchObject({ reason: 'conflicting_duplicate' })
})

test('a state that is built again passes nothing on again', async () => {
  const { publisher, worker } = await started({ partitions: 2 })
  await publisher.misplaced([sale('anna'), sale('boris'), sale('clara')])
  await driver.settled(worker)
  await worker.close()
  driver.loseStore(0)
  driver.loseStore(1)
  const restarted = await driver.startWorker()
  await driver.settled(restarted)
  expect(driver.log.records(driver.topics.transactions)).toHaveLength(6)
  expect(await driver.check()).toMatchObject({ accepted: 3, forwarded: 3 })
})

test('wrongly placed sales, refunds and voids give the rows that rightly placed ones give', async () => {
  const events = Array.from({ length: 60 }, (_, i) => {
    const id = `w${i}`
    if (i % 7 === 6)
      return sale(`c${(i - 3) % 5}`, {
        transaction_id: id,
        kind: 'REFUND',
        amount_minor: 300,
        original_transaction_id: `w${i - 3}`,
      })
    return sale(`c${i % 5}`, { transaction_id: id, occurred_at: (jan10 - (i % 9)) * dayMs })
  })
  const rowsOf = async (misplaced: (index: number) => boolean) => {
    const { publisher, worker } = await started({ partitions: 3, settings: { maxStepRecords: 5 } })
    for (const [index, event] of events.entries())
      await (misplaced(index) ? publisher.misplaced([event]) : publisher.transactions([event]))
    await driver.settled(worker)
    const { rows } = await driver.check()
    await driver.close()
    return rows
  }
  expect(await rowsOf((index) => index % 3 === 0)).toEqual(await rowsOf(() => false))
})

test('what an unknown schema wrote is taken in soon after it is registered, and published again', async () => {
  const { publisher, worker } = await started({ partitions: 1, settings: { deadLetterShare: 1 } })
  const later = schemaText('TransactionRecorded').replace('One receipt', 'A receipt')
  const { key, value } = publisher.encode(sale('anna'))
  const unregistered = Buffer.from(value!)
  const schemaId = Math.max(...Object.values(await registerAll(driver.registry, driver.topics))) + 1
  unregistered.writeUInt32BE(schemaId, 1)
  await publisher.raw(0, { key, value: unregistered })
  await publisher.transactions([sale('anna')])
  await driver.settled(worker)
  const [letter] = driver.log.records(driver.topics.deadLetters)
  expect(decodeDeadLetterHeaders(letter!.headers)).toMatchObject({ reason: 'unknown_schema', schemaId })
  expect(await driver.registry.register('transactions-value', later)).toBe(schemaId)
  const replayed = async () => {
    await publisher.raw(0, { key: letter!.key, value: letter!.value })
    await driver.settled(worker)
    return (await readBlocks(driver, 0)).factOffsets.length === 2
  }
  await eventually(replayed, { timeoutMs: 5_000, everyMs: 500 })
  const letters = driver.log.records(driver.topics.deadLetters).length
  expect(await replayed(), 'again it is a duplicate').toBe(true)
  expect(driver.log.records(driver.topics.deadLetters)).toHaveLength(letters)
})

test('while the registry is out of reach a task waits, and nothing becomes a dead letter', async () => {
  const { publisher, worker } = await started({ partitions: 1 })
  await publisher.transactions([sale('anna')])
  await driver.settled(worker)
  await worker.close()
  const restarted = await driver.startWorker()
  driver.registry.unavailable = true
  await publisher.transactions([sale('anna')])
  await eventually(() => driver.warnings.some(({ message }) => message === 'the memory registry is switched off'))
  expect(driver.log.records(driver.topics.deadLetters)).toEqual([])
  driver.registry.unavailable = false
  await driver.settled(restarted)
  expect(await driver.check()).toMatchObject({ accepted: 2, dead: 0 })
})

test('too large a share of dead letters stops the task loudly', async () => {
  const { publisher } = await started({ partitions: 1, settings: { deadLetterWindow: 100 } })
  for (let i = 0; i < 30; i++) await publisher.raw(0, { key: Buffer.from('x'), value: Buffer.from('poison') })
  await eventually(() => driver.stopped.length > 0)
  expect(driver.stopped).toEqual([{ partition: 0, code: 'too_many_dead_letters' }])
})

test('a model that cannot be loaded leaves the last good one in force, and says so', async () => {
  const { publisher, worker } = await started({ classifiers: ruleLoader(new Set(['2'])) })
  await publisher.transactions([sale('anna')])
  await driver.settled(worker)
  await publisher.model('2')
  await publisher.transactions([sale('boris')])
  await driver.settled(worker)
  expect(driver.warnings.some(({ code }) => code === 'model_unavailable')).toBe(true)
  const decoder = decoderOf(driver.registry, 'ClientStateChanged')
  const rows = await Promise.all(
    driver.log.records(driver.topics.clientState).map(async ({ value }) => {
      const decoded = await decoder.read(value)
      return decoded.kind === 'ok' ? decoded.event : null
    }),
  )
  expect(rows.find((row) => row?.client_id === 'boris')).toMatchObject({ model_version: '1', segment: 'new' })
})

test('a task refuses a programme of another number of partitions', async () => {
  const { publisher } = await open({ partitions: 2 })
  await publisher.programme({ partitions: 3 })
  const worker = await driver.startWorker()
  await eventually(
    () => worker.tasks.every(({ position }) => (position?.control ?? 0) > 0) || driver.stopped.length > 0,
  )
  await worker.close()
  await driver.startWorker()
  await eventually(() => driver.stopped.length === 2)
  expect(driver.stopped.map(({ code }) => code)).toEqual(['partitions_mismatch', 'partitions_mismatch'])
})
