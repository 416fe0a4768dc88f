import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/**
 * Files on disk that a stream of records is dealt out to, so that each can then be worked on in memory. Records keep
 * their order within a bucket. What was written counts once `finish` has returned and a manifest says so.
 */
export class Buckets<Part extends string | Uint8Array> {
  readonly #files: FileHandle[]
  readonly #pending: Part[][]
  readonly #encode: (parts: Part[]) => Uint8Array
  #pendingSize = 0

  private constructor(files: FileHandle[], encode: (parts: Part[]) => Uint8Array) {
    this.#files = files
    this.#pending = files.map(() => [])
    this.#encode = encode
  }

  /** Starts over: a directory with what an interrupted run left is emptied. */
  static async create<Part extends string | Uint8Array>(
    directory: string,
    count: number,
    encode: (parts: Part[]) => Uint8Array,
  ): Promise<Buckets<Part>> {
    await rm(directory, { recursive: true, force: true })
    await mkdir(directory, { recursive: true })
    const files: FileHandle[] = []
    for (let bucket = 0; bucket < count; bucket++) files.push(await open(bucketPath(directory, bucket), 'w'))
    return new Buckets(files, encode)
  }

  get count(): number {
    return this.#pending.length
  }

  append(bucket: number, part: Part): void {
    this.#pending[bucket]!.push(part)
    this.#pendingSize += part.length
  }

  /** Call it between batches of appends: writes once enough is waiting, which bounds the memory held. */
  async drain(limit = 8 * 1024 * 1024): Promise<void> {
    if (this.#pendingSize < limit) return
    for (let bucket = 0; bucket < this.#files.length; bucket++) {
      const parts = this.#pending[bucket]!
      if (parts.length === 0) continue
      await this.#files[bucket]!.writeFile(this.#encode(parts))
      this.#pending[bucket] = []
    }
    this.#pendingSize = 0
  }

  /** Writes the rest, makes everything durable, closes. */
  async finish(): Promise<void> {
    await this.drain(0)
    for (const file of this.#files) await file.sync()
    await this.close()
  }

  /** Closes without finishing; harmless when repeated. */
  async close(): Promise<void> {
    for (const file of this.#files.splice(0)) await file.close()
  }
}

export function bucketPath(directory: string, bucket: number): string {
  return join(directory, `${String(bucket).padStart(4, '0')}.part`)
}

/** Lines of a bucket of text records, a chunk at a time. */
export async function* readLines(directory: string, bucket: number): AsyncGenerator<string[]> {
  let rest = ''
  for await (const chunk of createReadStream(bucketPath(directory, bucket), { encoding: 'utf8' })) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    yield lines
  }
}

/** The JSON of a manifest, or null where there is none. */
export async function readManifest<T>(path: string): Promise<T | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T
  } catch {
    return null
  }
}

/** Writes a manifest durably and at once: a reader sees the old one, none, or this one. */
export async function writeManifest(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(JSON.stringify(value))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncDirectory(dirname(path))
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
