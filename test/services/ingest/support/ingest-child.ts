/**
 * An ingest program of its own, for tests that kill it. Its argument is JSON: {postgresUrl, dataDir, prefix, schema,
 * crashAt}. It prints its URL when it is ready, and ends itself with SIGKILL at the crash point, if one is named.
 */
import { topicsOf } from '#schemas/topics.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { openIngest, prepareTopics } from './world.ts'

interface ChildOptions {
  readonly postgresUrl: string
  readonly dataDir: string
  readonly prefix: string
  readonly crashAt: string | null
}

const { postgresUrl, dataDir, prefix, crashAt } = JSON.parse(process.argv[2] ?? '') as ChildOptions
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
  },
})
process.stdout.write(`${ingest.url}\n`)
