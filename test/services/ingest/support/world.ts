import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import pg from 'pg'
import { decoderOf } from '#schemas/decoder.ts'
import { encodersOf } from '#schemas/encoder.ts'
import type { ClientStateChanged } from '#schemas/events.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import { type Topics, topicSpecs, topicsOf } from '#schemas/topics.ts'
import { recordEnds } from '#services/ingest/completion.ts'
import type { TransactionReference } from '#services/ingest/ports.ts'
import { type IngestDeps, startIngest } from '#services/ingest/program.ts'
import type { TaskView } from '#services/ingest/store/uploads.ts'
import { UploadStore } from '#services/ingest/store/uploads.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { migratePostgres } from '#services/platform/migrate.ts'
import { noCrash } from '#streams/core/hooks.ts'
import type { Log } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { Worker } from '#streams/runtime/worker.ts'
import { MemoryStateStore } from '#streams/state/memory-state-store.ts'
import type { LoyaltyContext } from '#streams/topologies/context.ts'
import { loyaltyTopology, taskTopicsOf } from '#streams/topologies/loyalty.ts'
import { eventually } from '../../../support/eventually.ts'
import { ruleLoader } from '../../../support/loyalty/rule-classifier.ts'

export const migrationsDirectory = resolve(import.meta.dirname, '../../../../migrations/ingest')

/** The date on which the tests take place: well after the sample. */
export const testNowMs = Date.UTC(2012, 0, 15, 12)

/** Registers every event in one order, so that registries in memory of several processes agree on the ids. */
export async function prepareTopics(log: Log, registry: Registry, topics: Topics, partitions: number): Promise<void> {
  await log.admin.ensureTopics(topicSpecs(topics, partitions))
  await registerAll(registry, topics)
}

/** The real stream processor over a log, with state in memory. */
export async function startStream(log: Log, registry: Registry, topics: Topics): Promise<Worker<LoyaltyContext>> {
  const ids = await registerAll(registry, topics)
  const topology = loyaltyTopology({
    registry,
    encoders: encodersOf(ids),
    schemaIds: ids,
    classifiers: ruleLoader(),
    inputTopic: topics.transactions,
    cacheBytes: 64_000_000,
    onModelFailure: () => {},
    onControlIgnored: () => {},
    onClassified: () => {},
  })
  const worker = new Worker<LoyaltyContext>({
    log,
    topology,
    topics: taskTopicsOf(topics),
    group: 'processor',
    observer: {
      stepped() {},
      transition() {},
      restoring() {},
      deadLetter() {},
      warning() {},
      stopped() {},
    },
    crash: noCrash,
    settings: { lingerMs: 0, backoffMs: 1, maxBackoffMs: 20 },
    openStore: () => new MemoryStateStore(),
  })
  await worker.start()
  return worker
}

/** The newest row of every client, as a projection would hold them. */
export async function clientRows(log: Log, registry: Registry, topics: Topics): Promise<ClientStateChanged[]> {
  const decoder = decoderOf(registry, 'ClientStateChanged')
  const rows = new Map<string, ClientStateChanged>()
  const ends = await log.admin.endOffsets(topics.clientState)
  for (const [partition, end] of ends.entries())
    for await (const { records } of readRange(log, topics.clientState, partition, 0, end))
      for (const { value } of records) {
        const decoded = await decoder.read(value)
        if (decoded.kind === 'ok') rows.set(decoded.event.client_id, decoded.event)
      }
  return [...rows.values()]
}

/** Client and id of every accepted transaction. */
async function acceptedOf(log: Log, registry: Registry, topics: Topics): Promise<Set<string>> {
  const decoder = decoderOf(registry, 'TransactionsAccepted')
  const known = new Set<string>()
  const ends = await log.admin.endOffsets(topics.accepted)
  for (const [partition, end] of ends.entries())
    for await (const { records } of readRange(log, topics.accepted, partition, 0, end))
      for (const { value } of records) {
        const decoded = await decoder.read(value)
        if (decoded.kind !== 'ok') continue
        for (const { client_id, transaction_id } of decoded.event.facts) known.add(`${client_id} ${transaction_id}`)
      }
  return known
}

/** The element at index floor(l · n) of the sorted values, for l = 1/5 … 4/5. */
function quintiles(values: number[]): number[] {
  const sorted = values.sort((a, b) => a - b)
  return [1, 2, 3, 4].map((l) => sorted[Math.floor((l * sorted.length) / 5)]!)
}

/** Stands in for the stores that projections fill: it reads the log instead, so it is always up to date. */
export function portsOver(log: Log, registry: Registry, topics: Topics) {
  return {
    projections: {
      async applied() {
        const outputs = [topics.clients, topics.accepted, topics.clientState, topics.clientReclassified, topics.uploads]
        return new Map(await Promise.all(outputs.map(async (topic) => [topic, await recordEnds(log, topic)] as const)))
      },
    },
    calibrator: {
      async calibrate(asOfDay: number, basis: 'net' | 'gross') {
        const buyers = (await clientRows(log, registry, topics)).filter((row) => row.frequency > 0)
        if (buyers.length === 0) return null
        return {
          recency_days: quintiles(buyers.map((row) => asOfDay - row.last_purchase_day!)),
          frequency: quintiles(buyers.map((row) => row.frequency)),
          monetary_minor: quintiles(
            buyers.map((row) => (basis === 'net' ? row.monetary_net_minor : row.monetary_gross_minor)),
          ),
          basis,
        }
      },
    },
    figures: {
      async read() {
        const segments: Record<string, number> = { champions: 0, loyal: 0, at_risk: 0, new: 0, sleeping: 0 }
        for (const { segment } of await clientRows(log, registry, topics)) if (segment !== null) segments[segment]!++
        return { buyers: Object.values(segments).reduce((sum, count) => sum + count, 0), segments }
      },
      async unknown(references: readonly TransactionReference[]) {
        const known = await acceptedOf(log, registry, topics)
        return references.map(({ clientId, transactionId }) => !known.has(`${clientId} ${transactionId}`))
      },
    },
  }
}

export interface IngestOptions {
  readonly log: Log
  readonly registry: Registry
  readonly topics?: Topics
  readonly postgresUrl: string
  readonly dataDir: string
  readonly partitions?: number
  readonly changes?: Partial<IngestDeps>
}

/** A running ingest program on a free port, its own pool, and what a test asks of it. */
export async function openIngest(options: IngestOptions) {
  const { log, registry, dataDir, partitions = 2 } = options
  const topics = options.topics ?? topicsOf('loyalty')
  const pool = new pg.Pool({ connectionString: options.postgresUrl })
  // A server that is ended before the pool breaks idle connections; the test is over then.
  pool.on('error', () => {})
  await migratePostgres(pool, { schema: 'ingest', directory: migrationsDirectory })
  const store = new UploadStore(pool)
  const ingest = await startIngest({
    log,
    topics,
    registry,
    pool,
    ...portsOver(log, registry, topics),
    stream: { status: null },
    settings: { monetaryBasis: 'net', partitions, ledgerCap: 4096 },
    model: { id: 'rule', version: '1', sha256: '0'.repeat(64) },
    programme: { when: 'wait' },
    dataDir,
    port: 0,
    bind: '127.0.0.1',
    clock: { nowMs: () => testNowMs },
    logger: createLogger('ingest', 'silent'),
    metrics: createMetrics('ingest'),
    crash: () => {},
    ...options.changes,
  })
  return {
    url: ingest.url,
    postgresUrl: options.postgresUrl,
    pool,
    store,
    upload: (text: string | Blob, profile = 'online-retail', name = 'file.csv', headers = {}) =>
      upload(ingest.url, text, profile, name, headers),
    ended: (taskId: string, timeoutMs = 30_000) => ended(store, taskId, timeoutMs),
    /** Orders something about an upload: `undo`, `replace-conflicts`, `cancel`. */
    order: async (batchId: string, what: string) => {
      const url = `${ingest.url}/api/v1/management/data/uploads/${batchId}/${what}`
      const response = await fetch(url, { method: 'POST' })
      return { status: response.status, body: (await response.json()) as UploadAnswer['body'] }
    },
    close: async () => {
      await ingest.close()
      await pool.end()
    },
  }
}

export interface UploadAnswer {
  readonly status: number
  readonly body: { task_id: string; batch_id: string; message: string; code?: string; details?: unknown }
}

export async function upload(
  url: string,
  content: string | Blob,
  profile: string,
  name: string,
  headers: Record<string, string> = {},
): Promise<UploadAnswer> {
  const form = new FormData()
  form.set('profile', profile)
  form.set('file', typeof content === 'string' ? new Blob([content]) : content, name)
  const response = await fetch(`${url}/api/v1/management/data/upload`, { method: 'POST', body: form, headers })
  return { status: response.status, body: (await response.json()) as UploadAnswer['body'] }
}

export async function ended(store: UploadStore, taskId: string, timeoutMs: number): Promise<TaskView> {
  return eventually(
    async () => {
      const task = await store.task(taskId)
      return task !== null && (task.status === 'COMPLETED' || task.status === 'FAILED') ? task : null
    },
    { timeoutMs, what: 'the end of the task' },
  )
}

/** A small file of the sample's shape: `receipts` receipts of two lines by ten clients, on successive days. */
export function retailFile(receipts: number, firstNumber = 1): string {
  const lines = ['InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country']
  for (let i = 0; i < receipts; i++) {
    const day = new Date(Date.UTC(2011, 0, 1 + (i % 300))).toISOString().slice(0, 10)
    const head = `${firstNumber + i},A${i % 5},Article`
    const tail = `${day} 10:00:00,1.25,${100 + (i % 10)}.0,United Kingdom`
    lines.push(`${head},${1 + (i % 4)},${tail}`, `${head},1,${tail}`)
  }
  return `${lines.join('\n')}\n`
}

/** URL of a new, empty database on the server. */
export async function newDatabase(postgresUrl: string): Promise<string> {
  const name = `ingest_${randomUUID().replaceAll('-', '')}`
  const client = new pg.Client({ connectionString: postgresUrl })
  await client.connect()
  await client.query(`create database ${name}`)
  await client.end()
  const url = new URL(postgresUrl)
  url.pathname = `/${name}`
  return url.href
}
