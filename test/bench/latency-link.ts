import { Client } from 'pg'
import { EventEncoder } from '#schemas/encoder.ts'
import { openRegistry, registerAll } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { generateToLog } from '#services/cli/generate.ts'
import type { GeneratorOptions } from '#services/cli/generator/transactions.ts'
import { Control } from '#services/ingest/control.ts'
import type { Config } from '#services/platform/config.ts'
import { createLogger } from '#services/platform/logging.ts'
import { openLog } from '#services/wiring/log.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { LogWriter } from '#streams/log/log.ts'
import { lastDay, partitions } from './stack.ts'

const clients = 20_000
/** The bench ends also where the platform does not keep up. */
const giveUpAfterMs = { unseenProbes: 60_000, sweep: 45_000 }

/** A purchase of a new client that was sent, and seen as a classified row in Postgres. */
export interface Probe {
  /** By `performance.now()`. */
  readonly sentMs: number
  /** From then until the row was seen. */
  readonly ms: number
}

export type PlatformLink = Awaited<ReturnType<typeof joinPlatform>>

/** A way into the running platform: the log on one side, the database on the other. */
export async function joinPlatform(config: Config, onEnd: (stop: () => Promise<unknown>) => void) {
  const log = openLog(config, { clientId: 'loyalty-bench', logger: createLogger('bench', 'warn') })
  onEnd(() => log.close())
  const topics = topicsOf(config.topicPrefix)
  const registry = openRegistry({ url: config.registryUrl! })
  const control = await Control.open(log, topics, registry)
  const database = new Client({ connectionString: config.postgresUrl })
  await database.connect()
  onEnd(() => database.end())
  const encoder = new EventEncoder(
    'TransactionRecorded',
    (await registerAll(registry, topics, ['TransactionRecorded'])).TransactionRecorded,
  )
  let seed = 0
  let nextProbe = 0

  const generate = (options: GeneratorOptions, ratePerSecond?: number) =>
    generateToLog({ log, registry, topics }, options, { ratePerSecond })
  const publish = (events: number, ratePerSecond?: number) =>
    generate({ events, clients, seed: ++seed, firstDay: lastDay, days: 1, lateShare: 0, detailed: true }, ratePerSecond)
  const visible = async (ids: readonly string[]): Promise<string[]> => {
    const query = 'SELECT client_id FROM projector.clients WHERE client_id = ANY($1) AND segment IS NOT NULL'
    return (await database.query(query, [ids])).rows.map(({ client_id }) => client_id)
  }
  const send = (writer: LogWriter, clientId: string) => {
    const key = Buffer.from(clientId)
    const value = encoder.encode(probeEvent(clientId))
    return writer.append(topics.transactions, partitionOf(key, partitions), [{ key, value }])
  }

  /** Sends probes at an even pace for as long as `more` says; answers when all of them were seen. */
  async function probe(more: (sent: number) => boolean, perSecond: number): Promise<Probe[]> {
    const writer = log.writer()
    const sentAt = new Map<string, number>()
    const probes: Probe[] = []
    let sending = true
    const sendAll = async () => {
      const begin = performance.now()
      for (let sent = 0; more(sent); sent++) {
        await seconds(Math.max(0, begin + (sent / perSecond) * 1_000 - performance.now()) / 1_000)
        const id = `probe-${nextProbe++}`
        sentAt.set(id, performance.now())
        await send(writer, id)
      }
      sending = false
    }
    const look = async () => {
      for (let deadline = Number.POSITIVE_INFINITY; sending || sentAt.size > 0; ) {
        for (const id of await visible([...sentAt.keys()])) {
          const sentMs = sentAt.get(id)!
          probes.push({ sentMs, ms: Math.round((performance.now() - sentMs) * 10) / 10 })
          sentAt.delete(id)
        }
        await seconds(0.002)
        if (!sending) deadline = Math.min(deadline, performance.now() + giveUpAfterMs.unseenProbes)
        if (performance.now() > deadline) throw new Error(`${sentAt.size} probes never reached Postgres`)
      }
    }
    await Promise.all([sendAll(), look()])
    await writer.close()
    return probes
  }

  /** Until everything sent before has gone through: with so many probes there is one in every partition. */
  const drained = () => probe((sent) => sent < 60, 200)

  return {
    publish,
    probe,
    /** Cut-points, the date and some history. */
    async prepare(events: number): Promise<void> {
      const now = Date.now()
      const cuts = { recency_days: [12, 32, 71, 179], frequency: [1, 2, 3, 6], monetary_minor: [100_000, 500_000] }
      await control.publish(
        ['CutPointsPublished', { ...cuts, basis: 'net', calibrated_as_of: null, published_at: now }],
        ['DayStarted', { date: lastDay, started_at: now }],
      )
      await publish(events)
      await drained()
    },
    /** Publishes as fast as the log takes it, and waits until it has gone through. */
    async load(options: GeneratorOptions): Promise<void> {
      await generate(options)
      await drained()
    },
    /** Even traffic for as long as `more` says. */
    async traffic(perSecond: number, more: () => boolean): Promise<void> {
      while (more()) await publish(perSecond, perSecond)
    },
    async storedClients(): Promise<number> {
      const { rows } = await database.query('SELECT count(*)::int AS clients FROM projector.clients')
      return rows[0].clients
    },
    /** Starts a day; answers after how many milliseconds every task has swept over all its clients. */
    async sweep(date: number): Promise<number> {
      const before = await controlPositions(config)
      const began = performance.now()
      await control.publish(['DayStarted', { date, started_at: Date.now() }])
      while (performance.now() < began + giveUpAfterMs.sweep) {
        const tasks = await tasksOf(config)
        const ms = performance.now() - began
        if (tasks.every(({ partition, position }) => isPast(position, before.get(partition)))) return ms
        await seconds(0.02)
      }
      throw new Error(`the sweep did not end within ${giveUpAfterMs.sweep / 1_000} s`)
    },
  }
}

interface TaskStatus {
  readonly partition: number
  readonly position: { readonly control: number; readonly sweep: string | null } | null
}

async function tasksOf(config: Config): Promise<readonly TaskStatus[]> {
  const { tasks } = (await (await fetch(`${config.processorUrl}/status`)).json()) as { tasks: TaskStatus[] }
  if (tasks.length !== partitions) throw new Error(`the processor has ${tasks.length} tasks`)
  return tasks
}

async function controlPositions(config: Config): Promise<Map<number, number>> {
  return new Map((await tasksOf(config)).map(({ partition, position }) => [partition, position?.control ?? 0]))
}

/** Whether a task has taken in a control record since, and no sweep runs any more. */
function isPast(position: TaskStatus['position'], control: number | undefined): boolean {
  return position !== null && position.control > (control ?? 0) && position.sweep === null
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

export function seconds(duration: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, duration * 1_000))
}
