/**
 * A projector in a process of its own, which ends itself with SIGKILL at one point. Arguments: Postgres URL, ClickHouse
 * URL, database, point ('' never), and the name of the projection to die in.
 */
import { createClient } from '@clickhouse/client'
import { Pool } from 'pg'
import { registerAll } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { startProjector } from '#services/projector/program.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { publishedNames } from './world.ts'

const [postgresUrl = '', clickhouseUrl = '', database = '', point, projection] = process.argv.slice(2)
const topics = topicsOf('test')
const registry = new MemoryRegistry()
// The same names in the same order: the same ids as in the test.
await registerAll(registry, topics, publishedNames)

startProjector({
  log: openPostgresLog({ url: postgresUrl }),
  topics,
  registry,
  pool: new Pool({ connectionString: postgresUrl, max: 12 }),
  clickhouse: createClient({ url: clickhouseUrl, database }),
  clickhouseAddress: { url: clickhouseUrl, database },
  segments: [],
  logger: createLogger('projector', 'silent'),
  metrics: createMetrics('projector'),
  lingerMs: 10,
  backOffMs: { first: 10, longest: 200 },
  reconcileEveryMs: 0,
  hook: (at, of) => {
    if (at === point && of === projection) process.kill(process.pid, 'SIGKILL')
  },
})
process.on('disconnect', () => process.exit(0))
