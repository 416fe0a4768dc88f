import { beforeEach, describe, expect, it } from 'vitest'
import { encodersOf } from '#schemas/encoder.ts'
import { registerAll } from '#schemas/registry.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { contextOfLog, foldLedgers, transactionsOfLog } from '#services/cli/features-export.ts'
import { currencyFor, generateToLog } from '#services/cli/generate.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'

const topics = topicsOf('loyalty')
const options = { events: 3_000, clients: 200, seed: 5, detailed: false }
const programme = { currency: 'RUB', partitions: 4 }

describe('traffic in the log', () => {
  let log: MemoryLog
  const registry = new MemoryRegistry()
  beforeEach(() => {
    log = new MemoryLog()
  })

  async function publishControl(): Promise<void> {
    const encoders = encodersOf(await registerAll(registry, topics, ['ProgrammeConfigured', 'DayStarted']))
    const configured = encoders.ProgrammeConfigured.encode({
      programme_id: '00000000-0000-4000-8000-000000000001',
      currency: 'RUB',
      time_zone: 'Europe/Moscow',
      offsets: [{ from: 0, offset_minutes: 180 }],
      clock: 'events',
      monetary_basis: 'net',
      partitions: 4,
      ledger_cap: 4_096,
      configured_at: 0,
    })
    const started = encoders.DayStarted.encode({ date: 20_000, started_at: 0 })
    const records = [configured, Buffer.from('garbage'), started].map((value) => ({ key: null, value }))
    await log.writer().append(topics.control, 0, records)
  }

  it('is what the generator reports, in every partition, and folds to ledgers', async () => {
    await log.admin.ensureTopics(topicSpecs(topics, 4))
    const report = await generateToLog({ log, registry, topics }, options)
    expect(report.events).toBe(3_000)
    const ends = await log.admin.endOffsets(topics.transactions)
    expect(ends.reduce((sum, end) => sum + end, 0)).toBe(3_000)
    expect(Math.min(...ends)).toBeGreaterThan(0)
    await publishControl()
    const context = await contextOfLog(log, topics, registry)
    const folded = await foldLedgers(transactionsOfLog(log, topics, registry, programme), context)
    expect(folded.ledgers.size).toBe(report.clients)
    expect(folded.transactions).toBe(report.events - report.duplicates)
  })

  it('is read without the records that a task would refuse', async () => {
    await log.admin.ensureTopics(topicSpecs(topics, 4))
    await generateToLog({ log, registry, topics }, { ...options, events: 10, duplicateShare: 0 })
    const bad = [Buffer.from('no frame'), Buffer.from([0, 0, 0, 39, 9, 1])]
    await log.writer().append(
      topics.transactions,
      0,
      bad.map((value) => ({ key: Buffer.from('x'), value })),
    )
    const read = await Array.fromAsync(transactionsOfLog(log, topics, registry, programme))
    expect(read).toHaveLength(10)
    const pounds = await Array.fromAsync(transactionsOfLog(log, topics, registry, { currency: 'GBP', partitions: 4 }))
    expect(pounds).toEqual([])
  })

  it('is in the currency of the programme, and refused in another before anything is published', async () => {
    await log.admin.ensureTopics(topicSpecs(topics, 4))
    const target = { log, registry, topics }
    expect(await currencyFor(target, 'EUR')).toBe('EUR')
    await expect(currencyFor(target, undefined)).rejects.toMatchObject({ code: 'programme_missing' })
    await publishControl()
    expect(await currencyFor(target, undefined)).toBe('RUB')
    expect(await currencyFor(target, 'RUB')).toBe('RUB')
    const refused = { code: 'wrong_currency', details: { given: 'EUR', programme: 'RUB' } }
    await expect(currencyFor(target, 'EUR')).rejects.toMatchObject(refused)
  })

  it('is paced when a rate is given', async () => {
    await log.admin.ensureTopics(topicSpecs(topics, 4))
    const report = await generateToLog({ log, registry, topics }, { ...options, events: 200 }, { ratePerSecond: 1_000 })
    expect(report.seconds).toBeGreaterThan(0.15)
  })

  it('needs its topics, and a configured programme to be read', async () => {
    await expect(generateToLog({ log, registry, topics }, options)).rejects.toMatchObject({ code: 'log_topic_missing' })
    await log.admin.ensureTopics(topicSpecs(topics, 4))
    await expect(contextOfLog(log, topics, registry)).rejects.toMatchObject({ code: 'programme_missing' })
    await publishControl()
    expect(await contextOfLog(log, topics, registry)).toMatchObject({ asOf: { date: 20_000 } })
  })
})
