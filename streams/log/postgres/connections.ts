import type { Duplex } from 'node:stream'
import pg from 'pg'
import { asLogError } from './errors.ts'
import { createSchema } from './schema.ts'

export interface ConnectionOptions {
  readonly url: string
  readonly schema: string
  /** Connections for appends and administration. */
  readonly writeConnections: number
  /** Connections for reading. */
  readonly readConnections: number
  /** A stopped writer's open transaction is ended by the server after this. */
  readonly stoppedWriterMs: number
  /** A connection that does not answer for so long is given up. */
  readonly answerMs: number
}

/** int8 as number: every int8 of the log is below 2^53. */
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    return oid === 20 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format)
  },
} as pg.CustomTypesConfig

/** A batch is a walk along the primary key; without statistics the planner may think otherwise of a table that grows. */
const alwaysByIndex = { enable_seqscan: 'off', enable_bitmapscan: 'off' }

/** The pools of one Log object and the names of its schema. The schema is created with the first use. */
export class Connections {
  readonly schema: string
  /** Channel of appends and of group changes. */
  readonly channel: string
  /** Quoted schema name with the dot. */
  readonly prefix: string
  readonly applicationName: string
  private readonly options: ConnectionOptions
  private readonly writePool: pg.Pool
  private readonly readPool: pg.Pool
  private prepared: Promise<void> | undefined

  constructor(options: ConnectionOptions) {
    this.options = options
    this.schema = options.schema
    this.channel = `${options.schema}_log`
    this.prefix = `${pg.escapeIdentifier(options.schema)}.`
    this.applicationName = `log ${options.schema}`
    this.writePool = this.pool(options.writeConnections, {})
    this.readPool = this.pool(options.readConnections, alwaysByIndex)
  }

  /** Name of a table of the schema, quoted. */
  table(name: string): string {
    return `${this.prefix}${pg.escapeIdentifier(name)}`
  }

  /** Runs one statement outside transactions. */
  async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return this.using(
      this.writePool,
      text.trim().slice(0, 60),
      async (client) => (await client.query<Row>(text, values)).rows,
    )
  }

  /** Lends a connection for reading. */
  async reading<T>(doing: string, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.using(this.readPool, doing, work)
  }

  /** Lends a connection for a transaction that `work` begins and ends itself. */
  async writing<T>(doing: string, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.using(this.writePool, doing, work)
  }

  /** Runs `work` inside one transaction, which may take `withinMs`. */
  async transaction<T>(
    doing: string,
    work: (client: pg.PoolClient) => Promise<T>,
    withinMs = this.options.answerMs,
  ): Promise<T> {
    const transact = async (client: pg.PoolClient) => {
      await client.query('BEGIN')
      const result = await work(client)
      await client.query('COMMIT')
      return result
    }
    return this.using(this.writePool, doing, transact, withinMs)
  }

  /** A connection of its own, for what must live and die with one connection. The caller ends it. */
  async dedicated(extra: Readonly<Record<string, string>> = {}): Promise<pg.Client> {
    await this.ready()
    const client = new pg.Client(this.config(extra))
    // Without a listener the loss of an idle connection would end the process; whoever uses it learns by its next query.
    client.on('error', () => {})
    try {
      await givingUp(client, this.options.answerMs, () => client.connect())
      return client
    } catch (error) {
      await endClient(client)
      throw asLogError(error, 'connect')
    }
  }

  /**
   * Ends backends that have waited in the middle of a message for a client that does not go on (a process stopped while
   * it was sending). The server's own time-out covers only those that wait between two statements.
   */
  async endStoppedSenders(): Promise<void> {
    await this.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = $1 AND datname = current_database() AND state = 'active' AND wait_event = 'ClientRead'
         AND query_start < now() - make_interval(secs => $2)`,
      [this.applicationName, this.options.stoppedWriterMs / 1000],
    )
  }

  /** Runs `work` on a connection of its own, breaking that when it does not answer. */
  givingUp<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
    return givingUp(client, this.options.answerMs, work)
  }

  async close(): Promise<void> {
    await Promise.all([this.writePool.end(), this.readPool.end()])
  }

  private async using<T>(
    pool: pg.Pool,
    doing: string,
    work: (client: pg.PoolClient) => Promise<T>,
    withinMs = this.options.answerMs,
  ): Promise<T> {
    await this.ready()
    let client: pg.PoolClient
    try {
      client = await pool.connect()
    } catch (error) {
      throw asLogError(error, 'connect')
    }
    try {
      const result = await givingUp(client, withinMs, () => work(client))
      client.release()
      return result
    } catch (error) {
      // A connection that failed is not worth repairing: its end is the surest rollback.
      client.release(true)
      throw asLogError(error, doing)
    }
  }

  private ready(): Promise<void> {
    this.prepared ??= createSchema(this.config({}), this.schema).catch((error: unknown) => {
      this.prepared = undefined
      throw asLogError(error, 'create the schema')
    })
    return this.prepared
  }

  private pool(max: number, extra: Readonly<Record<string, string>>): pg.Pool {
    const pool = new pg.Pool({ ...this.config(extra), max, connectionTimeoutMillis: 10_000, idleTimeoutMillis: 60_000 })
    // An idle connection that breaks leaves the pool by itself; one in use fails its query. Either would also end the
    // process if nobody listened.
    pool.on('error', () => {})
    pool.on('connect', (client) => client.on('error', () => {}))
    return pool
  }

  private config(extra: Readonly<Record<string, string>>): pg.ClientConfig {
    const settings = {
      synchronous_commit: 'on',
      idle_in_transaction_session_timeout: String(this.options.stoppedWriterMs),
      lock_timeout: String(this.options.stoppedWriterMs + 2_000),
      max_parallel_workers_per_gather: '0',
      jit: 'off',
      ...extra,
    }
    return {
      connectionString: this.options.url,
      application_name: this.applicationName,
      keepAlive: true,
      types,
      options: Object.entries(settings)
        .map(([name, value]) => `-c ${name}=${value}`)
        .join(' '),
    }
  }
}

/** Breaks the connection when `work` has not ended after `withinMs`; what waits for it then fails as for any lost connection. */
export async function givingUp<T>(client: pg.ClientBase, withinMs: number, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => streamOf(client).destroy(new Error(`no answer within ${withinMs} ms`)), withinMs)
  try {
    return await work()
  } finally {
    clearTimeout(timer)
  }
}

/** Ends a connection, politely where the other side still answers. */
export async function endClient(client: pg.Client): Promise<void> {
  await givingUp(client, 1_000, () => client.end()).catch(() => {})
}

function streamOf(client: pg.ClientBase): Duplex {
  return (client as unknown as { connection: { stream: Duplex } }).connection.stream
}
