import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncDirectory } from '../../platform/sync-directory.ts'

/** Bytes that wait in memory per bucket, and in full pieces altogether, before they are written. */
const pieceBytes = 32 * 1024
const fullBytes = 1024 * 1024

interface Piece {
  readonly bucket: number
  readonly bytes: Buffer
  length: number
}

/**
 * Files on disk that a stream of records is dealt out to, so that each can then be worked on in memory. Records keep
 * their order within a bucket. What was written counts once `finish` has returned and a manifest says so.
 *
 * Records are copied into pieces of fixed size at once: kept as strings until they are written they would outlive the
 * young generation, and the heap would grow by all of them before it is swept.
 */
export class Buckets {
  readonly #directory: string
  /** Null for a file that nothing was written to yet. */
  readonly #files: (FileHandle | null)[]
  readonly #open: Piece[]
  readonly #free: Buffer[] = []
  #full: Piece[] = []
  #fullBytes = 0

  private constructor(directory: string, files: (FileHandle | null)[]) {
    this.#directory = directory
    this.#files = files
    this.#open = files.map((_, bucket) => emptyPiece(bucket))
  }

  /** Starts over: a directory with what an interrupted run left is emptied. `sparse`: a bucket of nothing has no file. */
  static async create(directory: string, count: number, { sparse = false } = {}): Promise<Buckets> {
    await emptyDirectory(directory)
    const buckets = new Buckets(directory, Array<FileHandle | null>(count).fill(null))
    for (let bucket = 0; !sparse && bucket < count; bucket++) await buckets.#file(bucket)
    return buckets
  }

  get count(): number {
    return this.#open.length
  }

  /** Of bytes the first `length`. */
  append(bucket: number, part: string | Uint8Array, length = part.length): void {
    const most = typeof part === 'string' ? length * 3 : length
    let piece = this.#open[bucket]!
    if (piece.bytes.length - piece.length < most) piece = this.#next(piece, most)
    if (typeof part === 'string') piece.length += piece.bytes.write(part, piece.length)
    else {
      piece.bytes.set(length === part.length ? part : part.subarray(0, length), piece.length)
      piece.length += length
    }
  }

  /** Call it between batches of appends: writes once enough is waiting, which bounds the memory held. */
  async drain(limit = fullBytes): Promise<void> {
    if (this.#fullBytes < limit) return
    const pieces = this.#full
    this.#full = []
    this.#fullBytes = 0
    for (const { bucket, bytes, length } of pieces) {
      await (await this.#file(bucket)).writeFile(bytes.subarray(0, length))
      if (bytes.length === pieceBytes) this.#free.push(bytes)
    }
  }

  /** Writes the rest, makes everything durable, closes. */
  async finish(): Promise<void> {
    for (const piece of this.#open) if (piece.length > 0) this.#full.push(piece)
    await this.drain(0)
    for (const file of this.#files) await file?.sync()
    await this.close()
  }

  /** Closes without finishing; harmless when repeated. */
  async close(): Promise<void> {
    for (const file of this.#files.splice(0)) await file?.close()
  }

  async #file(bucket: number): Promise<FileHandle> {
    const file = this.#files[bucket] ?? (await open(bucketPath(this.#directory, bucket), 'w'))
    this.#files[bucket] = file
    return file
  }

  /** A piece with room for `most` bytes in the place of one that has too little. */
  #next(piece: Piece, most: number): Piece {
    if (piece.length > 0) {
      this.#full.push(piece)
      this.#fullBytes += piece.length
    }
    const bytes = most > pieceBytes ? Buffer.allocUnsafe(most) : (this.#free.pop() ?? Buffer.allocUnsafe(pieceBytes))
    const next = { bucket: piece.bucket, bytes, length: 0 }
    this.#open[piece.bucket] = next
    return next
  }
}

/** A directory with nothing in it, whatever an interrupted run left there. */
export async function emptyDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
}

function emptyPiece(bucket: number): Piece {
  return { bucket, bytes: Buffer.alloc(0), length: 0 }
}

export function bucketPath(directory: string, bucket: number): string {
  return join(directory, `${String(bucket).padStart(4, '0')}.part`)
}

/** Reads one bucket after the other, each into the memory of the one before. */
export class BucketReader {
  readonly #directory: string
  #buffer = Buffer.allocUnsafe(0)

  constructor(directory: string) {
    this.#directory = directory
  }

  /** All of a bucket, until the next is read. */
  async read(bucket: number): Promise<Buffer> {
    const file = await open(bucketPath(this.#directory, bucket))
    try {
      const { size } = await file.stat()
      if (this.#buffer.length < size) this.#buffer = Buffer.allocUnsafeSlow(Math.ceil(size * 1.25))
      let length = 0
      while (length < size) {
        const { bytesRead } = await file.read(this.#buffer, length, size - length)
        if (bytesRead === 0) break
        length += bytesRead
      }
      return this.#buffer.subarray(0, length)
    } finally {
      await file.close()
    }
  }
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
  await writeDurably(temporary, JSON.stringify(value))
  await rename(temporary, path)
  await syncDirectory(dirname(path))
}

/** Writes the content of a file so that it is there after a power cut; the name of a new one is the directory's to keep. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}
