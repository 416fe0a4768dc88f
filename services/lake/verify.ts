import { topicsOf } from '#schemas/topics.ts'
import { hasCode, messageOf } from '#streams/core/error.ts'
import { faultBetween, openLakeFacts } from './lake-reader.ts'
import { archivedTopics, eventTypes, type LogEventType, type Stream, uploadsPrefix } from './layout.ts'
import {
  type FileFacts,
  type ManifestEntry,
  readEntries,
  readFileOf,
  readSchema,
  type UploadEntry,
} from './manifest.ts'
import { rowsOfParquet } from './parquet.ts'
import { getJson, type LakeStore } from './store.ts'

export interface LakeReport {
  readonly lake: string
  readonly ranges: number
  readonly files: number
  readonly rows: Readonly<Record<string, number>>
  readonly bytes: number
  /** Records whose content is left out. */
  readonly withheld: number
  /** Offsets that the log had dropped before they were archived. */
  readonly lost: number
  /** Files that no manifest names: of a range under way, or put there by others. */
  readonly unlisted: readonly string[]
  /** A sentence for each. */
  readonly faults: readonly string[]
}

/** Reads the whole lake and compares it with what its manifests say. Errors: `lake_missing`, `lake_unavailable`. */
export async function verifyLake(store: LakeStore, onFile: (files: number) => void): Promise<LakeReport> {
  const facts = await openLakeFacts(store)
  const check = new Check(store, onFile)
  const topics = Object.entries(archivedTopics(topicsOf(facts.topic_prefix))) as [LogEventType, string][]
  for (const [eventType, topic] of topics)
    for (let partition = 0; partition < (eventType === 'control' ? 1 : facts.partitions); partition++)
      await check.stream({ eventType, topic, partition })
  for await (const path of store.list(uploadsPrefix)) await check.upload(await getJson<UploadEntry>(store, path))
  return check.report()
}

class Check {
  readonly #store: LakeStore
  readonly #onFile: (files: number) => void
  readonly #listed = new Set<string>()
  readonly #schemas = new Set<number>()
  readonly #rows: Record<string, number> = Object.fromEntries(eventTypes.map((type) => [type, 0]))
  readonly #faults: string[] = []
  readonly #sums = { ranges: 0, bytes: 0, withheld: 0, lost: 0 }

  constructor(store: LakeStore, onFile: (files: number) => void) {
    this.#store = store
    this.#onFile = onFile
  }

  async stream(stream: Stream): Promise<void> {
    const entries = await Array.fromAsync(readEntries(this.#store, stream))
    const fault = faultBetween(entries)
    if (fault !== null) this.#faults.push(`${stream.topic}[${stream.partition}]: ${fault}`)
    for (const entry of entries) await this.#entry(stream, entry)
  }

  async upload(entry: UploadEntry | null): Promise<void> {
    for (const file of entry?.files ?? []) await this.#file('rejected_row', file)
  }

  async report(): Promise<LakeReport> {
    const unlisted: string[] = []
    for (const type of eventTypes)
      for await (const path of this.#store.list(`event_type=${type}/`)) if (!this.#listed.has(path)) unlisted.push(path)
    for (const id of this.#schemas)
      if ((await readSchema(this.#store, id)) === null) this.#faults.push(`schema ${id} is missing`)
    const files = this.#listed.size
    return { lake: this.#store.where, ...this.#sums, files, rows: this.#rows, unlisted, faults: this.#faults }
  }

  async #entry({ eventType, topic, partition }: Stream, entry: ManifestEntry): Promise<void> {
    const { from_offset, next_offset, records, lost, withheld, files, schema_ids } = entry
    this.#sums.ranges++
    this.#sums.withheld += withheld
    this.#sums.lost += lost === null ? 0 : lost.next_offset - lost.from_offset
    for (const id of schema_ids) this.#schemas.add(id)
    for (const file of files) await this.#file(eventType, file)
    if (files.reduce((sum, { rows }) => sum + rows, 0) !== records)
      this.#faults.push(`${topic}[${partition}] ${from_offset}–${next_offset - 1}: its files have other counts`)
  }

  async #file(eventType: string, file: FileFacts): Promise<void> {
    this.#listed.add(file.path)
    this.#onFile(this.#listed.size)
    this.#sums.bytes += file.bytes
    this.#rows[eventType] = (this.#rows[eventType] ?? 0) + file.rows
    try {
      const content = await readFileOf(this.#store, file)
      const rows = rowsOfParquet(content)
      if (rows !== file.rows) this.#faults.push(`${file.path} has ${rows} rows, not ${file.rows}`)
    } catch (error) {
      if (hasCode(error, 'lake_unavailable')) throw error
      this.#faults.push(messageOf(error))
    }
  }
}
