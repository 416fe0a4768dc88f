import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { type RunningChdb, startChdb } from '#services/standalone/chdb/start.ts'
import { tempDir } from './temp-dir.ts'

export interface TestClickHouse extends RunningChdb {
  /** Client of the database `loyalty`, which exists and is empty. */
  readonly client: ClickHouseClient
  readonly database: string
  /** Further clients, for another database or with settings. They are closed by `stop`. */
  connect(database?: string): ClickHouseClient
  /** Kills the engine with SIGKILL and starts it again on the same data and port. */
  crash(): Promise<void>
  /** Stops the engine and deletes its data. */
  stop(): Promise<void>
}

/** The real ClickHouse engine in a child process, with its data in a temporary directory. */
export async function startClickHouse(): Promise<TestClickHouse> {
  const dir = await tempDir('loyalty-ch-')
  let running = await startChdb({ dataDir: dir.path })
  const { url } = running
  const clients: ClickHouseClient[] = []
  const connect = (database = 'default') => {
    const client = createClient({ url, database, request_timeout: 60_000, log: { level: ClickHouseLogLevel.OFF } })
    clients.push(client)
    return client
  }
  const setup = connect()
  await setup.command({ query: 'CREATE DATABASE IF NOT EXISTS loyalty' })
  return {
    url,
    get pid() {
      return running.pid
    },
    get ended() {
      return running.ended
    },
    version: running.version,
    client: connect('loyalty'),
    database: 'loyalty',
    connect,
    async crash() {
      process.kill(running.pid, 'SIGKILL')
      await running.ended
      running = await startChdb({ dataDir: dir.path, port: Number(new URL(url).port) })
    },
    async stop() {
      await Promise.all(clients.map((client) => client.close()))
      await running.stop()
      await dir.remove()
    },
  }
}
