import { type Topics, topicSpecs, topicsOf } from '#schemas/topics.ts'
import { type ArchiveCrashPoint, StreamArchive } from '#services/lake/archive.ts'
import { type ImportReport, importLake } from '#services/lake/import.ts'
import { archivedTopics, type LogEventType, type Stream } from '#services/lake/layout.ts'
import { claimLake, readEntries } from '#services/lake/manifest.ts'
import { readParquet } from '#services/lake/parquet.ts'
import { rowWriters } from '#services/lake/rows.ts'
import { SchemaKeeper } from '#services/lake/schema-keeper.ts'
import type { LakeStore } from '#services/lake/store.ts'
import type { Log } from '#streams/log/log.ts'
import { MemoryLog } from '../../../support/memory-log.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'

export const topics = topicsOf('loyalty')

export interface Archived {
  readonly log: Log
  readonly registry: MemoryRegistry
  readonly store: LakeStore
  readonly rangeBytes?: number
  readonly crash?: (point: ArchiveCrashPoint) => void
}

/** The streams of a programme. */
export function streamsOf(partitions: number, of: Topics = topics): Stream[] {
  return (Object.entries(archivedTopics(of)) as [LogEventType, string][]).flatMap(([eventType, topic]) =>
    Array.from({ length: eventType === 'control' ? 1 : partitions }, (_, partition) => ({
      eventType,
      topic,
      partition,
    })),
  )
}

/** Archives everything that is in the log, as a program that has just started. */
export async function archiveAll({ log, registry, store, rangeBytes = 1_000_000, crash = () => {} }: Archived) {
  const partitions = (await log.admin.partitions(topics.transactions))!
  await claimLake(store, { topic_prefix: 'loyalty', partitions })
  const reader = log.reader()
  const deps = {
    ...{ log, store, rangeBytes, crash, schemas: new SchemaKeeper(registry, store) },
    rows: rowWriters(registry, topics),
  }
  try {
    for (const stream of streamsOf(partitions)) {
      const archive = await StreamArchive.open(deps, stream)
      const end = (await log.admin.endOffsets(stream.topic))[stream.partition]!
      while (archive.begun || archive.position < end)
        if ((await archive.next(reader, end, async () => true)) === null) break
    }
  } finally {
    await reader.close()
  }
}

/** Rows of a stream as they lie in the lake. */
export async function rowsOf(store: LakeStore, stream: Stream, columns: readonly string[]) {
  const rows: Record<string, unknown>[] = []
  for await (const { files } of readEntries(store, stream))
    for (const { path, day } of files)
      for await (const group of readParquet((await store.get(path))!, columns))
        rows.push(...group.map((row) => ({ ...row, day })))
  return rows
}

/** A log and a registry that know nothing yet, and whose registry gives other ids. */
export async function freshLog(partitions: number) {
  const log = new MemoryLog()
  const registry = new MemoryRegistry()
  await log.admin.ensureTopics(topicSpecs(topics, partitions))
  for (const type of ['string', 'bytes', 'long']) await registry.register('other', JSON.stringify(type))
  return { log, registry }
}

export function importInto(
  { log, registry }: { log: Log; registry: MemoryRegistry },
  store: LakeStore,
  options: {
    resumed?: boolean
    acceptDataLoss?: boolean
    signal?: AbortSignal
    onProgress?: (records: number) => void
  } = {},
): Promise<ImportReport> {
  return importLake({
    ...{ store, log, topics, registry, topicPrefix: 'loyalty' },
    resumed: options.resumed ?? false,
    acceptDataLoss: options.acceptDataLoss ?? false,
    onBegin: () => {},
    onProgress: options.onProgress ?? (() => {}),
    signal: options.signal ?? new AbortController().signal,
  })
}
