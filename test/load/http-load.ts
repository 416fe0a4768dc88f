import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import { topicsOf } from '#schemas/topics.ts'
import { Random } from '#services/cli/generator/random.ts'
import type { GeneratorCounts, GeneratorOptions } from '#services/cli/generator/transactions.ts'
import { havePassed, haveSettled, recordEnds, untilProjected } from '#services/ingest/completion.ts'
import { Control } from '#services/ingest/control.ts'
import { readConfig } from '#services/platform/config.ts'
import { createLogger } from '#services/platform/logging.ts'
import { type Platform, startPlatform } from '#services/standalone/platform.ts'
import { projectionProgress } from '#services/wiring/ingest.ts'
import { openLog } from '#services/wiring/log.ts'
import { allProjections } from '#services/wiring/projections.ts'
import { platformSetup } from '#services/wiring/setup.ts'
import { openClickHouse, openPostgres, openRegistry } from '#services/wiring/stores.ts'
import { dayOfIso } from '#streams/domain/calendar.ts'
import type { Log } from '#streams/log/log.ts'
import { readPositions } from '#streams/runtime/position.ts'
import { freePorts } from '../services/cli/support/run-cli.ts'
import { expectedOf } from './expected.ts'
import { Killer } from './killer.ts'
import { cpuByProgram, difference } from './meter.ts'
import { PreparedTraffic, type SendReport } from './sender.ts'

export interface LoadOptions {
  readonly transactions: number
  readonly clients: number
  readonly batch: number
  readonly connections: number
  readonly kills: number
  readonly seed: number
  readonly duplicateShare: number
  /** Absent: as fast as they are taken. */
  readonly ratePerSecond?: number
  readonly dataDir: string
  /** Settings of the platform beyond those of the run. */
  readonly env?: Readonly<Record<string, string>>
  readonly say: (text: string) => void
}

export interface LoadReport {
  readonly transactions: number
  readonly sent: SendReport
  /** From the first request until the last 202, until every task had taken all in, and until every projection had. */
  readonly seconds: { readonly answered: number; readonly taken_in: number; readonly projected: number }
  readonly per_second: { readonly answered: number; readonly taken_in: number; readonly projected: number }
  readonly kills: Readonly<Record<string, number>>
  /** By program; null where programs were killed, whose time is lost with them. */
  readonly cpu_seconds: Readonly<Record<string, number>> | null
  /** Of all programs, engines and the sending side together: what a rate comes to whatever else the machine does. */
  readonly cpu_microseconds_per_transaction: number | null
  /** Records by topic: how much the log was asked to hold for these transactions. */
  readonly log_records: Readonly<Record<string, number>>
  readonly generated: GeneratorCounts
}

/** Everything is evaluated as of the last day of the generator's year, so that no day begins meanwhile. */
const asOf = dayOfIso('2024-12-30')

/**
 * Sends generated transactions through the tills' door of a platform of its own, all programs and engines running, kills
 * programs meanwhile, waits until everything is projected, and compares what the stores hold with what was generated: every
 * transaction that was answered with 202 is in the states exactly once. Errors: those of `assert`.
 */
export async function httpLoad(options: LoadOptions): Promise<LoadReport> {
  const { dataDir, say, env: more } = options
  const env = {
    ...process.env,
    ...freePorts,
    LOYALTY_LOG: 'postgres',
    LOYALTY_DATA_DIR: dataDir,
    LOYALTY_CURRENCY: 'RUB',
    LOYALTY_TIME_ZONE: 'Europe/Moscow',
    LOYALTY_CLOCK: 'events',
    ...more,
  }
  const logger = createLogger('load', 'warn', process.stderr)
  const platform = await startPlatform({ config: readConfig(env), env, setup: platformSetup(logger, say), tell: say })
  try {
    const pool = openPostgres(platform.config, logger, 2)
    const clickhouse = openClickHouse(platform.config)
    const log = openLog(platform.config, { clientId: 'loyalty-load', logger })
    try {
      return await run(options, { platform, pool, clickhouse, log })
    } finally {
      await Promise.all([log.close(), pool.end(), clickhouse.close()])
    }
  } finally {
    await platform.stop()
  }
}

interface Stack {
  readonly platform: Platform
  readonly pool: Pool
  readonly clickhouse: ClickHouseClient
  readonly log: Log
}

async function run(options: LoadOptions, stack: Stack): Promise<LoadReport> {
  const { transactions, clients, seed, batch, connections, duplicateShare, kills, say } = options
  const { platform, pool, log } = stack
  const topics = topicsOf(platform.config.topicPrefix)
  await beginProgramme(platform, log)
  const random = new Random(seed)
  const killer = new Killer(platform, kills, () => random.fraction())
  const traffic = { events: transactions, clients, seed, duplicateShare }
  const prepared = new PreparedTraffic(traffic, batch)
  say('requests are ready')
  const cpuBefore = cpuByProgram()
  const startMs = performance.now()
  const since = () => (performance.now() - startMs) / 1_000
  const onProgress = (events: number) => {
    const victim = killer.passed(events / transactions)
    if (victim !== null) say(`${events} sent after ${since().toFixed(1)} s; killed ${victim}`)
  }
  const { ratePerSecond } = options
  const sent = await prepared.send({ url: platform.urls.ingest, connections, ratePerSecond, onProgress })
  const answered = since()
  say(`${sent.accepted} answered with 202 after ${answered.toFixed(1)} s`)
  const ends = await recordEnds(log, topics.transactions)
  const controlEnd = (await recordEnds(log, topics.control))[0] ?? 0
  await until(async () => {
    const positions = await readPositions(log, topics.accepted)
    return havePassed(positions, ends) && haveSettled(positions, controlEnd)
  })
  const takenIn = since()
  const outputs = [topics.accepted, topics.clientState, topics.clientReclassified]
  await untilProjected(log, outputs, projectionProgress(pool, topics, allProjections))
  const projected = since()
  const cpu = difference(cpuByProgram(), cpuBefore)
  say(`taken in after ${takenIn.toFixed(1)} s, projected after ${projected.toFixed(1)} s`)
  assert.equal(sent.accepted, transactions, 'every transaction was answered with 202')
  await check(traffic, stack)
  const rate = (seconds: number) => Math.round(transactions / seconds)
  return {
    transactions,
    sent,
    seconds: { answered: rounded(answered), taken_in: rounded(takenIn), projected: rounded(projected) },
    per_second: { answered: rate(answered), taken_in: rate(takenIn), projected: rate(projected) },
    kills: killer.kills,
    cpu_seconds: kills > 0 ? null : cpu,
    cpu_microseconds_per_transaction:
      kills > 0 ? null : Math.round((Object.values(cpu).reduce((sum, each) => sum + each, 0) / transactions) * 1e6),
    log_records: await recordsByTopic(log),
    generated: prepared.counts,
  }
}

async function recordsByTopic(log: Log): Promise<Record<string, number>> {
  const topics = await log.admin.topics()
  const counts = await Promise.all(topics.map((topic) => recordEnds(log, topic)))
  return Object.fromEntries(topics.map((topic, i) => [topic, counts[i]!.reduce((sum, end) => sum + end, 0)]))
}

/** Cut-points and a day, so that every client is scored and classified with every purchase. */
async function beginProgramme({ config }: Platform, log: Log): Promise<void> {
  const control = await Control.open(log, topicsOf(config.topicPrefix), openRegistry(config))
  const now = Date.now()
  const cuts = { recency_days: [12, 32, 71, 179], frequency: [1, 2, 3, 6] }
  const monetary = { monetary_minor: [100_000, 200_000, 500_000, 2_000_000], basis: 'net' } as const
  await control.publish(
    ['CutPointsPublished', { ...cuts, ...monetary, calibrated_as_of: null, published_at: now }],
    ['DayStarted', { date: asOf, started_at: now }],
  )
}

interface StoredSums {
  readonly client_id: string
  readonly transactions: number
  readonly frequency: number
  readonly gross: string
  readonly net: string
}

/** Profiles of every client one by one, and the totals of the statistics. */
async function check(traffic: GeneratorOptions, { pool, clickhouse, log, platform }: Stack): Promise<void> {
  const { clients, distinct } = expectedOf(traffic)
  const { rows } = await pool.query<StoredSums>(
    `SELECT client_id, transactions, frequency, monetary_gross_minor AS gross, monetary_net_minor AS net
     FROM projector.clients`,
  )
  assert.equal(rows.length, clients.size, 'clients with a profile')
  for (const { client_id: id, transactions, frequency, gross, net } of rows)
    assert.deepEqual(
      { transactions, frequency, grossMinor: Number(gross), netMinor: Number(net) },
      clients.get(id),
      `the profile of ${id}`,
    )
  const sums = { frequency: 0, grossMinor: 0, netMinor: 0 }
  for (const { frequency, grossMinor, netMinor } of clients.values()) {
    sums.frequency += frequency
    sums.grossMinor += grossMinor
    sums.netMinor += netMinor
  }
  const one = async (query: string) => {
    const answer = await clickhouse.query({ query, format: 'JSONEachRow' })
    return (await answer.json<Record<string, string | number>>())[0]
  }
  const facts = await one('SELECT count() AS n, uniqExact(transaction_id) AS ids FROM transactions FINAL')
  assert.deepEqual([Number(facts?.n), Number(facts?.ids)], [distinct, distinct], 'transactions in the statistics')
  const effects = await one(
    `SELECT sum(sales_change) AS frequency, sum(gross_change_minor) AS gross, sum(net_change_minor) AS net
     FROM transaction_effects FINAL`,
  )
  const days = await one(
    'SELECT sum(sales) AS frequency, sum(gross_minor) AS gross, sum(net_minor) AS net FROM daily_sales',
  )
  for (const [what, found] of [
    ['effects', effects],
    ['days', days],
  ] as const)
    assert.deepEqual(
      { frequency: Number(found?.frequency), grossMinor: Number(found?.gross), netMinor: Number(found?.net) },
      sums,
      `sums over ${what} in the statistics`,
    )
  const letters = await recordEnds(log, topicsOf(platform.config.topicPrefix).deadLetters)
  assert.deepEqual(new Set(letters), new Set([0]), 'nothing is a dead letter')
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(50)
}

function rounded(seconds: number): number {
  return Math.round(seconds * 10) / 10
}
