import { Client } from 'pg'
import { EventEncoder } from '#schemas/encoder.ts'
import { openRegistry, registerAll } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { generateToLog } from '#services/cli/generate.ts'
import { Control } from '#services/ingest/control.ts'
import { type Config, readConfig } from '#services/platform/config.ts'
import { createLogger } from '#services/platform/logging.ts'
import { startPlatform } from '#services/standalone/platform.ts'
import { openLog } from '#services/wiring/log.ts'
import { platformSetup } from '#services/wiring/setup.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { LogWriter } from '#streams/log/log.ts'
import { startKafka } from '../support/kafka/start-kafka.ts'
import { type Bench, quantile } from './bench.ts'
import { lastDay, partitions } from './stack.ts'

const rate = 2_000
const warmUpSeconds = 5
const measureSeconds = 15
const probesPerSecond = 40
const storedEvents = 100_000
const clients = 20_000

/**
 * The whole platform on Kafka under 2,000 events/s: time from the append of a new client's purchase until its classified
 * row is seen in Postgres by a client that looks again and again.
 */
export const latencyBench: Bench = {
  name: 'latency',
  about: `event → profile row in Postgres, p50 and p99 at ${rate} events/s on Kafka`,
  async run({ dir, onEnd, say }) {
    const kafka = await startKafka({ heap: '768m' })
    onEnd(() => kafka.stop())
    const logger = createLogger('bench', 'warn')
    const env = {
      ...process.env,
      LOYALTY_LOG: 'kafka',
      LOYALTY_KAFKA_BROKERS: kafka.brokers.join(','),
      LOYALTY_PARTITIONS: String(partitions),
      LOYALTY_DATA_DIR: dir.path,
      LOYALTY_CURRENCY: 'RUB',
      LOYALTY_TIME_ZONE: 'Europe/Moscow',
      LOYALTY_CLOCK: 'events',
    }
    const setup = platformSetup(logger, say)
    const platform = await startPlatform({ config: readConfig(env), env, setup, tell: say })
    onEnd(() => platform.stop())
    say(`the platform serves after ${Math.round(platform.startedInMs)} ms`)
    const link = await join(platform.config, onEnd)
    await link.prepare()
    const background = link.publish(rate * (warmUpSeconds + measureSeconds), 2, rate)
    await seconds(warmUpSeconds)
    const latencies = await link.probe(measureSeconds * probesPerSecond)
    await background
    say(`${latencies.length} probes: p50 ${quantile(latencies, 0.5)} ms, p99 ${quantile(latencies, 0.99)} ms`)
    return {
      rate_per_second: rate,
      probes: latencies.length,
      p50_ms: quantile(latencies, 0.5),
      p99_ms: quantile(latencies, 0.99),
      max_ms: latencies.at(-1) ?? null,
    }
  },
}

/** A way into the running platform: the log on one side, the database on the other. */
async function join(config: Config, onEnd: (stop: () => Promise<unknown>) => void) {
  const log = openLog(config, { clientId: 'loyalty-bench', logger: createLogger('bench', 'warn') })
  onEnd(() => log.close())
  const topics = topicsOf(config.topicPrefix)
  const registry = openRegistry({ url: config.registryUrl! })
  const database = new Client({ connectionString: config.postgresUrl })
  await database.connect()
  onEnd(() => database.end())
  const encoder = new EventEncoder(
    'TransactionRecorded',
    (await registerAll(registry, topics, ['TransactionRecorded'])).TransactionRecorded,
  )
  const publish = (events: number, seed: number, ratePerSecond?: number) =>
    generateToLog(
      { log, registry, topics, ...(ratePerSecond === undefined ? {} : { ratePerSecond }) },
      { events, clients, seed, firstDay: lastDay, days: 1, lateShare: 0, detailed: true },
    )
  const visible = async (ids: readonly string[]): Promise<string[]> => {
    const query = 'SELECT client_id FROM projector.clients WHERE client_id = ANY($1) AND segment IS NOT NULL'
    return (await database.query(query, [ids])).rows.map(({ client_id }) => client_id)
  }
  const send = (writer: LogWriter, clientId: string) => {
    const key = Buffer.from(clientId)
    const value = encoder.encode(probeEvent(clientId))
    return writer.append(topics.transactions, partitionOf(key, partitions), [{ key, value }])
  }

  return {
    publish,
    /** Cut-points, the date, some history, and one probe that has gone through everything. */
    async prepare() {
      const now = Date.now()
      const control = await Control.open(log, topics, registry)
      const cuts = { recency_days: [12, 32, 71, 179], frequency: [1, 2, 3, 6], monetary_minor: [100_000, 500_000] }
      await control.publish(
        ['CutPointsPublished', { ...cuts, basis: 'net', calibrated_as_of: null, published_at: now }],
        ['DayStarted', { date: lastDay, started_at: now }],
      )
      await publish(storedEvents, 1)
      await this.probe(1)
    },
    /** Sends purchases of new clients at an even pace; answers the sorted times until their rows were seen, in ms. */
    async probe(count: number): Promise<number[]> {
      const writer = log.writer()
      const sentAt = new Map<string, number>()
      const latencies: number[] = []
      const sending = async () => {
        const begin = performance.now()
        for (let i = 0; i < count; i++) {
          await seconds(Math.max(0, begin + (i / probesPerSecond) * 1_000 - performance.now()) / 1_000)
          const id = `probe-${count}-${i}`
          sentAt.set(id, performance.now())
          await send(writer, id)
        }
      }
      const looking = async () => {
        const deadline = performance.now() + 120_000
        while (latencies.length < count && performance.now() < deadline) {
          for (const id of await visible([...sentAt.keys()])) {
            latencies.push(Math.round((performance.now() - sentAt.get(id)!) * 10) / 10)
            sentAt.delete(id)
          }
          await seconds(0.002)
        }
        if (latencies.length < count) throw new Error(`${count - latencies.length} probes never reached Postgres`)
      }
      await Promise.all([sending(), looking()])
      await writer.close()
      return latencies.sort((a, b) => a - b)
    },
  }
}

function probeEvent(clientId: string) {
  return {
    transaction_id: clientId,
    client_id: clientId,
    kind: 'SALE',
    occurred_at: lastDay * 86_400_000 + 9 * 3_600_000,
    amount_minor: 150_000,
    currency: 'RUB',
    source: 'pos:bench',
  } as const
}

function seconds(duration: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, duration * 1_000))
}
