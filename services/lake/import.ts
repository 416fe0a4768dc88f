import { decoderOf } from '#schemas/decoder.ts'
import { encodersOf } from '#schemas/encoder.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { Log, NewRecord } from '#streams/log/log.ts'
import { type LakeRecord, openLakeFacts, planOf, recordsOf, type StreamPlan } from './lake-reader.ts'
import { type LakeFacts, readFileOf } from './manifest.ts'
import { readParquet } from './parquet.ts'
import { PartitionAppender } from './partition-appender.ts'
import { Reframing } from './reframe.ts'
import type { LakeStore } from './store.ts'
import { type Unaccounted, unaccountedIn, unaccountedSentences } from './unaccounted.ts'

export interface ImportDeps {
  readonly store: LakeStore
  readonly log: Log
  /** They exist. */
  readonly topics: Topics
  readonly topicPrefix: string
  readonly registry: Registry
  /** True where an import of this lake into this log was begun before. */
  readonly resumed: boolean
  /** Called before the first record is written. */
  readonly onBegin: () => void
  /** True where the import is wanted even without what the lake does not account for. */
  readonly acceptDataLoss: boolean
  readonly onProgress: (records: number, total: number) => void
  readonly signal: AbortSignal
}

export interface ImportReport {
  readonly lake: string
  readonly transactions: number
  readonly control_events: number
  readonly schemas: number
  readonly partitions: { readonly lake: number; readonly log: number }
  /** Records that were there already, from an import that was interrupted. */
  readonly found: number
  /** Offsets of transactions and control that the lake does not have, as the log had dropped them before. */
  readonly lost: number
  /** What was not imported because no manifest speaks of it. */
  readonly unaccounted: Unaccounted
  readonly seconds: number
}

/**
 * Fills a fresh log from a lake: transactions in the order of their partitions, with keys and headers, then control, which
 * thereby says that the import is whole. Dead letters are not imported: the processor finds the same ones again.
 *
 * Errors: `lake_missing`, `lake_broken`, `import_log_not_empty`, `data_loss_unconfirmed` (something is not accounted for),
 * `interrupted`, those of log, registry and store.
 */
export async function importLake(deps: ImportDeps): Promise<ImportReport> {
  const startedMs = performance.now()
  const { store, log, topics } = deps
  const facts = await openLakeFacts(store)
  const found = await checkLog(deps)
  const transactions = await planOf(store, facts, 'transaction')
  const control = await planOf(store, facts, 'control')
  const deadLetters = await planOf(store, facts, 'dead_letter')
  const unaccounted = await unaccountedBy(store, facts, [...transactions, ...control, ...deadLetters])
  if (!deps.acceptDataLoss) refuseLoss(store, unaccounted)
  if (sumOf(control) === 0)
    throw new LoyaltyError('lake_missing', `the lake ${store.where} has no control events: nothing can be rebuilt`)
  const schemaIds = new Set([...transactions, ...control].flatMap(schemaIdsOf))
  const partitions = (await log.admin.partitions(topics.transactions)) ?? 0
  if (!found.whole)
    await fill(deps, { facts, transactions, control, deadLetters, schemaIds, partitions, ends: found.ends })
  return {
    lake: store.where,
    transactions: sumOf(transactions),
    control_events: sumOf(control),
    schemas: schemaIds.size,
    partitions: { lake: facts.partitions, log: partitions },
    found: found.records,
    lost: [...transactions, ...control].reduce((sum, { lost }) => sum + lost, 0),
    unaccounted,
    seconds: (performance.now() - startedMs) / 1_000,
  }
}

/** `plans`: all that an import reads. */
async function unaccountedBy(store: LakeStore, facts: LakeFacts, plans: readonly StreamPlan[]): Promise<Unaccounted> {
  const known = new Set(plans.flatMap(({ entries }) => entries.flatMap(({ files }) => files.map(({ path }) => path))))
  return unaccountedIn(
    store,
    facts,
    ['transaction', 'control', 'dead_letter'],
    (path) => known.has(path),
    (read) => read(),
  )
}

function refuseLoss({ where }: LakeStore, unaccounted: Unaccounted): void {
  const sentences = unaccountedSentences(unaccounted)
  if (sentences.length === 0) return
  throw new LoyaltyError(
    'data_loss_unconfirmed',
    `the lake ${where} does not account for all that was begun, and nothing was imported: ${sentences.join('; ')}. ` +
      'Run the lake program until it has caught up, where its log is still there; else restore what is missing from ' +
      'a backup or older versions of the bucket, or import without it: --accept-data-loss',
    { details: { ...unaccounted } },
  )
}

interface Filling {
  readonly facts: LakeFacts
  readonly transactions: readonly StreamPlan[]
  readonly control: readonly StreamPlan[]
  readonly deadLetters: readonly StreamPlan[]
  readonly schemaIds: ReadonlySet<number>
  readonly partitions: number
  /** What the partitions of transactions have already. */
  readonly ends: readonly number[]
}

async function fill(deps: ImportDeps, { facts, transactions, control, deadLetters, ...known }: Filling): Promise<void> {
  const { store, log, topics } = deps
  const { partitions, schemaIds, ends } = known
  const total = sumOf(transactions) + sumOf(control)
  const unreadable = await unknownSchemas(store, facts, deadLetters)
  deps.onBegin()
  const prefixes = { lake: facts.topic_prefix, here: deps.topicPrefix }
  const reframing = await Reframing.open(deps, schemaIds, prefixes)
  const appender = new PartitionAppender(log, topics.transactions, ends, deps.signal, (records) =>
    deps.onProgress(records, total),
  )
  const lakePartitions = facts.partitions
  try {
    for (const plan of transactions)
      await importTransactions(deps, { plan, reframing, appender, partitions, lakePartitions, unreadable })
    await appender.flush()
    await importControl(deps, control, reframing, partitions)
    deps.onProgress(total, total)
  } finally {
    await appender.close()
  }
}

const sumOf = (plans: readonly StreamPlan[]) => plans.reduce((sum, { records }) => sum + records, 0)
const schemaIdsOf = (plan: StreamPlan) => plan.entries.flatMap((entry) => entry.schema_ids)

/** Control comes last and at once: where it is there, all is. */
async function checkLog({ log, topics, resumed }: ImportDeps) {
  const ends = await log.admin.endOffsets(topics.transactions)
  const control = (await log.admin.endOffsets(topics.control))[0] ?? 0
  const records = ends.reduce((sum, end) => sum + end, 0)
  if (resumed || records + control === 0) return { ends, records: records + control, whole: control > 0 }
  throw new LoyaltyError(
    'import_log_not_empty',
    `the log has ${records} transactions and ${control} control events already: an import needs a fresh one, ` +
      'with another data directory or, in Kafka, another topic prefix',
    { details: { transactions: records, controlEvents: control } },
  )
}

interface TransactionsPart {
  readonly plan: StreamPlan
  readonly reframing: Reframing
  readonly appender: PartitionAppender
  readonly partitions: number
  readonly lakePartitions: number
  /** `partition:offset` of what was a dead letter for want of a schema. */
  readonly unreadable: ReadonlySet<string>
}

async function importTransactions({ store }: ImportDeps, part: TransactionsPart): Promise<void> {
  const { plan, reframing, appender, partitions, lakePartitions, unreadable } = part
  const { partition } = plan.stream
  for (const entry of plan.entries) {
    if (partitions === lakePartitions && appender.skip(partition, entry.records)) continue
    for await (const records of recordsOf(store, entry))
      for (const record of records) {
        const value = await reframing.value(record.value, unreadable.has(`${partition}:${record.offset}`))
        const target = targetOf(record, partition, lakePartitions, partitions)
        await appender.add(target, { key: record.key, value, headers: record.headers })
      }
  }
}

/**
 * With another number of partitions a record goes where its key belongs. One that stood in a wrong partition stands in a
 * wrong one again: it was passed on then, behind everything that was in the log, and is passed on now, or is a dead letter.
 */
function targetOf({ key }: LakeRecord, partition: number, before: number, now: number): number {
  if (before === now) return partition
  if (key === null) return partition % now
  const proper = partitionOf(key, now)
  return partitionOf(key, before) === partition ? proper : (proper + 1) % now
}

/** The number of partitions is part of what a programme begins with. */
async function importControl(
  { store, log, topics, registry, signal }: ImportDeps,
  plans: readonly StreamPlan[],
  reframing: Reframing,
  partitions: number,
): Promise<void> {
  const decoder = decoderOf(registry, 'ProgrammeConfigured')
  const encoders = encodersOf(await registerAll(registry, topics, ['ProgrammeConfigured'] as const))
  const all: NewRecord[] = []
  for (const { entries } of plans)
    for (const entry of entries)
      for await (const records of recordsOf(store, entry))
        for (const { key, headers, value: before } of records) {
          const value = await reframing.value(before, false)
          const decoded = await decoder.read(value)
          const other = decoded.kind === 'ok' && decoded.event.partitions !== partitions ? decoded.event : null
          all.push({
            ...{ key, headers },
            value: other === null ? value : encoders.ProgrammeConfigured.encode({ ...other, partitions }),
          })
        }
  signal.throwIfAborted()
  const writer = log.writer()
  try {
    await writer.append(topics.control, 0, all)
  } finally {
    await writer.close()
  }
}

/** A schema that was registered later would make a transaction of what has been a dead letter. */
async function unknownSchemas(
  store: LakeStore,
  facts: LakeFacts,
  deadLetters: readonly StreamPlan[],
): Promise<Set<string>> {
  const found = new Set<string>()
  const columns = ['reason', 'original_topic', 'original_partition', 'original_offset']
  for (const { entries } of deadLetters)
    for (const { files } of entries)
      for (const file of files)
        for await (const rows of readParquet(await readFileOf(store, file), columns))
          for (const row of rows)
            if (row.reason === 'unknown_schema' && row.original_topic === `${facts.topic_prefix}.transactions`)
              found.add(`${row.original_partition}:${row.original_offset}`)
  return found
}
