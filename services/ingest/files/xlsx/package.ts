import type { FileHandle } from 'node:fs/promises'
import { posix } from 'node:path'
import { type BytesOptions, readZipEntry } from '../bytes.ts'
import { type DirectoryEntry, locateZipEntry, readZipDirectory } from '../zip.ts'
import { unreadable } from './faults.ts'
import { type XmlHandler, XmlReader } from './xml.ts'

/** A .zip whose files are parts with content types and relations (ECMA-376, part 2): what every Office file is. */

export interface Relation {
  /** The last segment of its type, which the strict and the usual dialect share. */
  readonly type: string
  /** Path of the part meant; null for something outside, which is never looked at. */
  readonly target: string | null
}

const contentTypesPath = '[content_types].xml'

/** Parts that are read whole: all but sheets and shared strings. */
const maxSmallPartBytes = 16 * 1024 * 1024

export class OfficePackage {
  readonly #file: FileHandle
  readonly #entries: ReadonlyMap<string, DirectoryEntry>

  private constructor(file: FileHandle, entries: ReadonlyMap<string, DirectoryEntry>) {
    this.#file = file
    this.#entries = entries
  }

  /** Null for an ordinary archive. Errors: those of `readZipDirectory`, `workbook_unreadable` (a part that is there twice). */
  static async open(file: FileHandle): Promise<OfficePackage | null> {
    const directory = await readZipDirectory(file)
    const entries = new Map<string, DirectoryEntry>()
    for (const entry of directory) entries.set(normalized(entry.name), entry)
    if (!entries.has(contentTypesPath)) return null
    if (entries.size < directory.length) throw unreadable('it has two parts of one name')
    return new OfficePackage(file, entries)
  }

  has(path: string): boolean {
    return this.#entries.has(normalized(path))
  }

  /** Bytes of a part in the archive. */
  packedBytesOf(path: string): number {
    return this.#entries.get(normalized(path))?.compressedBytes ?? 0
  }

  /** Bytes of a part. Errors: those of `readZipEntry`, `workbook_unreadable` (it is missing). */
  async *read(path: string, options: BytesOptions = {}): AsyncGenerator<Buffer> {
    const entry = this.#entries.get(normalized(path))
    if (entry === undefined) throw unreadable(`its part ${path} is missing`, { part: path })
    yield* readZipEntry(this.#file, await locateZipEntry(this.#file, entry), options)
  }

  /** Hands a small part to `handler` whole. */
  async parse(path: string, handler: XmlHandler): Promise<void> {
    const reader = new XmlReader(path, handler)
    let bytes = 0
    for await (const chunk of this.read(path)) {
      bytes += chunk.length
      if (bytes > maxSmallPartBytes)
        throw unreadable(`its part ${path} is larger than ${maxSmallPartBytes} bytes`, { part: path })
      reader.push(chunk)
    }
    reader.end()
  }

  /** Relations of a part by their id; of the package itself for ''. None where there is no list of them. */
  async relationsOf(path: string): Promise<ReadonlyMap<string, Relation>> {
    const relations = new Map<string, Relation>()
    const directory = posix.dirname(path)
    const list = posix.join(path === '' ? '' : directory, '_rels', `${path === '' ? '' : posix.basename(path)}.rels`)
    if (!this.has(list)) return relations
    await this.parse(list, {
      open(name, { Id, Type = '', Target = '', TargetMode }) {
        if (name !== 'Relationship' || Id === undefined) return
        const inside = TargetMode === 'External' ? null : posix.join(Target.startsWith('/') ? '' : directory, Target)
        relations.set(Id, { type: Type.slice(Type.lastIndexOf('/') + 1), target: inside?.replace(/^\//, '') ?? null })
      },
      text() {},
      close() {},
    })
    return relations
  }

  /** What the parts are, by path; the defaults of name endings are left out. */
  async contentTypes(): Promise<ReadonlyMap<string, string>> {
    const types = new Map<string, string>()
    await this.parse(contentTypesPath, {
      open(name, { PartName = '', ContentType = '' }) {
        if (name === 'Override') types.set(normalized(PartName), ContentType)
      },
      text() {},
      close() {},
    })
    return types
  }
}

/** Names of parts do not tell capitals apart; some programs write them with the strokes of Windows. */
export function normalized(path: string): string {
  return path.replaceAll('\\', '/').replace(/^\//, '').toLowerCase()
}
