/**
 * An ingest program of its own, for tests that kill it. Its argument is JSON: {postgresUrl, dataDir, prefix, schema,
 * crashAt, currency}; with a currency it configures its programme at the start. It prints its URL when it is ready, and ends itself with SIGKILL at the crash point, if one is named.
 */
import { topicsOf } from '#schemas/topics.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { openIngest, prepareTopics } from './world.ts'

export interface ChildOptions {
  readonly postgresUrl: string
  readonly dataDir: string
  readonly prefix: string
  readonly crashAt: string | null
  readonly currency?: string
}

const { postgresUrl, dataDir, prefix, crashAt, currency } = JSON.parse(process.argv[2] ?? '') as ChildOptions
const log = openPostgresLog({ url: postgresUrl })
const registry = new MemoryRegistry()
const topics = topicsOf(prefix)
await prepareTopics(log, registry, topics, 2)
const ingest = await openIngest({
  log,
  registry,
  topics,
  postgresUrl,
  dataDir,
  changes: {
    crash: (point) => {
      if (point === crashAt) process.kill(process.pid, 'SIGKILL')
    },
    ...(currency === undefined
      ? {}
      : {
          programme: { when: 'configure', profile: null },
          settings: { monetaryBasis: 'net', partitions: 2, ledgerCap: 4096, currency, timeZone: 'Etc/UTC' },
        }),
  },
})
process.stdout.write(`${ingest.url}\n`)
