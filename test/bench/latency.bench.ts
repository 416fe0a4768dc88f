import { readConfig } from '#services/platform/config.ts'
import { createLogger } from '#services/platform/logging.ts'
import { startPlatform } from '#services/standalone/platform.ts'
import { platformSetup } from '#services/wiring/setup.ts'
import { messageOf } from '#streams/core/error.ts'
import { startKafka } from '../support/kafka/start-kafka.ts'
import { type Bench, type Figures, quantile } from './bench.ts'
import { joinPlatform, type PlatformLink, type Probe, seconds } from './latency-link.ts'
import { lastDay, partitions } from './stack.ts'

const rate = 2_000
/** A broker that was started a moment ago compiles itself meanwhile, on the same two cores. */
const warmUpSeconds = 30
const sweepWarmUpSeconds = 5
const measureSeconds = 15
const probesPerSecond = 40
const storedEvents = 100_000

/** Before the sweeps: a year of history that makes the programme one of more than 100,000 clients. */
const history = { events: 220_000, clients: 150_000, distribution: 'uniform', detailed: false, seed: 3 } as const
const sweeps = 2
const sweepProbesPerSecond = 100

/**
 * The whole platform on Kafka under 2,000 events/s: time from the append of a new client's purchase until its classified
 * row is seen in Postgres by a client that looks again and again; then the same while a new day sweeps over all clients.
 */
export const latencyBench: Bench = {
  name: 'latency',
  about: `event → profile row in Postgres, p50 and p99 at ${rate} events/s on Kafka; the same while a sweep runs`,
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
    const link = await joinPlatform(platform.config, onEnd)
    await link.prepare(storedEvents)
    const background = link.publish(rate * (warmUpSeconds + measureSeconds), rate)
    await seconds(warmUpSeconds)
    const probes = await link.probe((sent) => sent < measureSeconds * probesPerSecond, probesPerSecond)
    const { per_second } = await background
    const latencies = probes.map(({ ms }) => ms).sort((a, b) => a - b)
    say(`${latencies.length} probes: p50 ${quantile(latencies, 0.5)} ms, p99 ${quantile(latencies, 0.99)} ms`)
    return {
      rate_per_second: Math.round(per_second),
      probes: latencies.length,
      p50_ms: quantile(latencies, 0.5),
      p99_ms: quantile(latencies, 0.99),
      max_ms: latencies.at(-1) ?? null,
      ...(await sweepFigures(link, say).catch(withoutSweeps)),
    }
  },
}

/** The figures before the sweeps are worth having, and the exit code tells. */
function withoutSweeps(error: unknown): Figures {
  process.exitCode = 1
  console.error(error)
  return { sweep_error: messageOf(error), sweep_p50_ms: null, sweep_p99_ms: null, sweep_seconds: null }
}

/** Days started one after the other in the middle of traffic; latencies are of what was sent while a sweep ran. */
async function sweepFigures(link: PlatformLink, say: (text: string) => void): Promise<Figures> {
  await link.load(history)
  const stored = await link.storedClients()
  say(`${stored} clients; a new day begins`)
  const latencies: number[] = []
  const durations: number[] = []
  for (let day = lastDay + 1; day <= lastDay + sweeps; day++) {
    const { ms, probes } = await sweepUnderTraffic(link, day)
    durations.push(ms / 1_000)
    latencies.push(...probes.map((probe) => probe.ms))
  }
  latencies.sort((a, b) => a - b)
  const mean = Math.round((durations.reduce((sum, one) => sum + one, 0) / sweeps) * 100) / 100
  say(
    `sweeps of ${mean} s; ${latencies.length} probes: p50 ${quantile(latencies, 0.5)}, p99 ${quantile(latencies, 0.99)} ms`,
  )
  return {
    sweep_clients: stored,
    sweep_seconds: mean,
    sweep_probes: latencies.length,
    sweep_p50_ms: quantile(latencies, 0.5),
    sweep_p99_ms: quantile(latencies, 0.99),
  }
}

/** One new day under even traffic: how long the sweep took, and the probes sent while it ran. */
async function sweepUnderTraffic(link: PlatformLink, day: number): Promise<{ ms: number; probes: readonly Probe[] }> {
  let over = false
  const background = link.traffic(rate, () => !over)
  // It is waited for below; a failure in the meantime is told there.
  background.catch(() => {})
  await seconds(sweepWarmUpSeconds)
  const probing = link.probe(() => !over, sweepProbesPerSecond)
  const beganMs = performance.now()
  const sweeping = link.sweep(day).finally(() => {
    over = true
  })
  const [ms, sent, traffic] = await Promise.allSettled([sweeping, probing, background])
  if (ms.status === 'rejected') throw ms.reason
  if (sent.status === 'rejected') throw sent.reason
  if (traffic.status === 'rejected') throw traffic.reason
  return { ms: ms.value, probes: sent.value.filter(({ sentMs }) => sentMs >= beganMs) }
}
