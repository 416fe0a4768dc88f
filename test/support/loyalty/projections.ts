import type { ClickHouseClient } from '@clickhouse/client'
import { Pool } from 'pg'
import type { Topics } from '#schemas/topics.ts'
import { readOffsets } from '#services/projector/progress.ts'
import { startClickHouse, type TestClickHouse } from '../clickhouse.ts'
import { eventually } from '../eventually.ts'
import { type RunningPostgres, startPostgres } from '../postgres.ts'
import { ProgramProcess } from './program-process.ts'
import { checkProjected, type Projected, readHistory, readProjected } from './projected.ts'
import type { StreamWorld } from './stream-world.ts'

/** The two engines of a test file. */
export interface Engines {
  readonly postgres: RunningPostgres
  readonly clickhouse: TestClickHouse
  stop(): Promise<void>
}

export async function startEngines(): Promise<Engines> {
  const [postgres, clickhouse] = await Promise.all([startPostgres(), startClickHouse()])
  return {
    postgres,
    clickhouse,
    async stop() {
      await Promise.all([postgres.stop(), clickhouse.stop()])
    },
  }
}

let databases = 0

/** Databases of a test's own in both engines: what the projector writes, and the log where that is in Postgres. */
export class Databases {
  readonly postgresUrl: string
  readonly name: string
  readonly #engines: Engines

  private constructor(engines: Engines, name: string) {
    this.#engines = engines
    this.name = name
    this.postgresUrl = engines.postgres.url.replace(/\/[^/]*$/, `/${name}`)
  }

  static async create(engines: Engines): Promise<Databases> {
    const name = `case_${process.pid}_${++databases}`
    await administer(engines, `CREATE DATABASE ${name}`)
    return new Databases(engines, name)
  }

  get env(): Record<string, string> {
    return {
      LOYALTY_POSTGRES_URL: this.postgresUrl,
      LOYALTY_CLICKHOUSE_URL: this.#engines.clickhouse.url,
      LOYALTY_CLICKHOUSE_DATABASE: this.name,
    }
  }

  clickhouse(): ClickHouseClient {
    return this.#engines.clickhouse.connect(this.name)
  }

  async drop(): Promise<void> {
    await administer(this.#engines, `DROP DATABASE ${this.name} WITH (FORCE)`)
    await this.#engines.clickhouse.client.command({ query: `DROP DATABASE IF EXISTS ${this.name}` })
  }
}

async function administer({ postgres }: Engines, statement: string): Promise<void> {
  const admin = new Pool({ connectionString: postgres.url, max: 1 })
  try {
    await admin.query(statement)
  } finally {
    await admin.end()
  }
}

/** Points of the projector at which an insert into ClickHouse is begun, or done and not yet noted. */
export interface ProjectorCrash {
  readonly point: 'after-intent' | 'after-insert'
  readonly times: number
}

/** Which projection reads which topic. */
const sources: readonly (readonly [projection: string, topic: keyof Topics])[] = [
  ['postgres-profiles', 'clients'],
  ['postgres-profiles', 'clientState'],
  ['postgres-profiles', 'clientReclassified'],
  ['clickhouse-facts', 'accepted'],
  ['clickhouse-state', 'clientState'],
  ['clickhouse-segments', 'clientReclassified'],
  ['clickhouse-uploads', 'uploads'],
]

/** The real projector beside a world, as a process that may be killed once and is then started again. */
export class Projections {
  readonly #world: StreamWorld
  readonly #databases: Databases
  readonly #pool: Pool
  #process: ProgramProcess
  #closed = false
  /** Settled once the process that was to be killed was. */
  readonly #survived: Promise<void>

  constructor(world: StreamWorld, databases: Databases, crashAt?: ProjectorCrash) {
    this.#world = world
    this.#databases = databases
    this.#pool = new Pool({ connectionString: databases.postgresUrl, max: 2 })
    this.#pool.on('error', () => {})
    const env = { ...world.env, ...databases.env }
    const first = new ProgramProcess('projector', crashAt === undefined ? { env } : { env, crashAt })
    this.#process = first
    this.#survived =
      crashAt === undefined
        ? Promise.resolve()
        : first.ended().then(() => {
            if (!this.#closed) this.#process = new ProgramProcess('projector', { env })
          })
  }

  /** Resolves once everything that is in the log is in both stores, and the projector has died as often as it was to. */
  async applied(): Promise<void> {
    const { log, topics } = this.#world
    const ends = new Map<string, readonly number[]>()
    for (const [, topic] of sources) ends.set(topics[topic], await log.admin.endOffsets(topics[topic]))
    await this.#survived
    await eventually(
      async () => {
        const offsets = await readOffsets(this.#pool)
        return sources.every(([name, key]) =>
          ends.get(topics[key])!.every((end, index) => {
            const found = offsets.find(
              ({ projection, topic, partition }) => projection === name && topic === topics[key] && partition === index,
            )
            return found !== undefined && found.nextOffset >= end
          }),
        )
      },
      { timeoutMs: 30_000, everyMs: 50, what: 'everything projected' },
    ).catch((cause: unknown) => {
      throw new Error(`not everything is projected: ${this.#process.output.slice(-2_000)}`, { cause })
    })
  }

  /** What both stores hold, checked against what the log says. Errors: those of `assert`. */
  async check(): Promise<Projected> {
    await this.applied()
    const clickhouse = this.#databases.clickhouse()
    const projected = await readProjected(this.#pool, clickhouse)
    await checkProjected(this.#world, projected, await readHistory(this.#pool, clickhouse))
    return projected
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#process.kill()
    await this.#survived
    await this.#pool.end()
  }
}
