import { hasCode, messageOf } from '#streams/core/error.ts'
import { faultsBetween, openLakeFacts } from './lake-reader.ts'
import { begunPrefix, entriesPrefix, eventTypes, firstOffsetOf, type Stream, uploadsPrefix } from './layout.ts'
import {
  type FileFacts,
  type LakeFacts,
  type ManifestEntry,
  readBegun,
  readEntryAt,
  readFileOf,
  readSchema,
  readUploadAt,
} from './manifest.ts'
import { rowsOfParquet } from './parquet.ts'
import type { LakeStore } from './store.ts'
import { streamsOf, type Unaccounted, unaccountedIn } from './unaccounted.ts'

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
  /** What no manifest speaks of: of a range under way, of a program that was killed, or of an entry that is gone. */
  readonly unaccounted: Unaccounted
  /** A sentence for each. */
  readonly faults: readonly string[]
}

/**
 * Reads the whole lake and compares it with what its manifests say. Errors: `lake_missing`, `lake_unavailable`; `lake_broken`
 * where manifest/lake.json is, without which nothing can be compared.
 */
export async function verifyLake(store: LakeStore, onFile: (files: number) => void): Promise<LakeReport> {
  const facts = await openLakeFacts(store)
  const check = new Check(store, onFile)
  for (const stream of streamsOf(facts)) await check.stream(stream)
  for await (const path of store.list(uploadsPrefix)) await check.upload(path)
  return check.report(facts)
}

class Check {
  readonly #store: LakeStore
  readonly #onFile: (files: number) => void
  readonly #listed = new Set<string>()
  readonly #schemas = new Set<number>()
  readonly #rows: Record<string, number> = Object.fromEntries(eventTypes.map((type) => [type, 0]))
  readonly #faults = new Set<string>()
  readonly #sums = { ranges: 0, bytes: 0, withheld: 0, lost: 0 }

  constructor(store: LakeStore, onFile: (files: number) => void) {
    this.#store = store
    this.#onFile = onFile
  }

  async stream(stream: Stream): Promise<void> {
    const entries: ManifestEntry[] = []
    for await (const path of this.#store.list(entriesPrefix(stream))) {
      const entry = await this.#reading(() => readEntryAt(this.#store, stream, path))
      if (entry !== null) entries.push(entry)
    }
    for (const fault of faultsBetween(entries)) this.#faults.add(`${stream.topic}[${stream.partition}]: ${fault}`)
    for (const entry of entries) await this.#entry(stream, entry)
    for await (const path of this.#store.list(begunPrefix(stream)))
      await this.#reading(() => readBegun(this.#store, stream, firstOffsetOf(path)))
  }

  async upload(path: string): Promise<void> {
    const entry = await this.#reading(() => readUploadAt(this.#store, path))
    for (const file of entry?.files ?? []) await this.#file('rejected_row', file)
  }

  async report(facts: LakeFacts): Promise<LakeReport> {
    const store = this.#store
    for (const id of this.#schemas)
      if ((await this.#reading(async () => (await readSchema(store, id)) ?? 'missing')) === 'missing')
        this.#faults.add(`schema ${id} is missing`)
    const isKnown = (path: string) => this.#listed.has(path)
    const unaccounted = await unaccountedIn(store, facts, eventTypes, isKnown, (read) => this.#reading(read))
    const known = { files: this.#listed.size, rows: this.#rows, unaccounted }
    return { lake: store.where, ...this.#sums, ...known, faults: [...this.#faults] }
  }

  /** What is damaged is a fault, and null. */
  async #reading<Value>(read: () => Promise<Value | null>): Promise<Value | null> {
    try {
      return await read()
    } catch (error) {
      if (!hasCode(error, 'lake_broken')) throw error
      this.#faults.add(messageOf(error))
      return null
    }
  }

  async #entry({ eventType }: Stream, entry: ManifestEntry): Promise<void> {
    const { lost, withheld, files, schema_ids } = entry
    this.#sums.ranges++
    this.#sums.withheld += withheld
    this.#sums.lost += lost === null ? 0 : lost.next_offset - lost.from_offset
    for (const id of schema_ids) this.#schemas.add(id)
    for (const file of files) await this.#file(eventType, file)
  }

  async #file(eventType: string, file: FileFacts): Promise<void> {
    this.#listed.add(file.path)
    this.#onFile(this.#listed.size)
    this.#sums.bytes += file.bytes
    this.#rows[eventType] = (this.#rows[eventType] ?? 0) + file.rows
    try {
      const content = await readFileOf(this.#store, file)
      const rows = rowsOfParquet(content)
      if (rows !== file.rows) this.#faults.add(`${file.path} has ${rows} rows, not ${file.rows}`)
    } catch (error) {
      if (hasCode(error, 'lake_unavailable')) throw error
      this.#faults.add(messageOf(error))
    }
  }
}
