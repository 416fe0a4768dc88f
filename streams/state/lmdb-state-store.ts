import { statSync } from 'node:fs'
import { mkdir, open as openFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type Database, open, type RootDatabase } from 'lmdb'
import { LoyaltyError, messageOf } from '../core/error.ts'
import { type DirectoryLock, lockDirectory } from './directory-lock.ts'
import { DiskRoom, type DiskRoomOptions, growthOf } from './disk-room.ts'
import { faultOf } from './lmdb-file.ts'
import { lostPower, markFlushed, markUnflushed } from './power-mark.ts'
import type { Bytes, StateChange, StateStore } from './state-store.ts'

export interface LmdbStoreOptions extends DiskRoomOptions {
  /** Told when what the directory held was thrown away because it could not be trusted; the store is then empty. */
  readonly onDiscarded?: (reason: string) => void
}

/** Version of what is in the directory; another one is thrown away. */
const formatVersion = 1
const dataFile = 'data.mdb'
const metaKey = Buffer.from('meta')
const metaHeaderBytes = 5
/**
 * Address space for a store, from the start: the driver enlarges a map by adding one of twice the size and keeps the old
 * ones, and what is mapped twice counts twice in the memory of the process. Enough for some 500,000 clients of one task. The
 * file looks as large, but takes disk only for what is used; not all tools that copy files know the difference.
 */
const mappedBytes = 256 * 1024 ** 2
/** Unit of `blocks` in what `stat` answers, whatever the file system's own blocks are. */
const statBlockBytes = 512

const encodings = { keyEncoding: 'binary', encoding: 'binary', cache: false } as const

/**
 * A store in a directory of its own, kept by LMDB. Commits are atomic and survive the end of the process, however it
 * comes. They are not flushed one by one (that halves the rate): where the system itself went down in between, the next
 * `open` throws the content away, since the log can rebuild it and half-written pages cannot be told from good ones.
 *
 * Errors of `open` and `commit`, beside those of the port: `disk_full` (retriable; nothing was written),
 * `state_failed` (retriable).
 */
export function openLmdbStore(directory: string, options: LmdbStoreOptions = {}): StateStore {
  return new LmdbStateStore(directory, options)
}

interface Opened {
  readonly root: RootDatabase<Buffer, Buffer>
  readonly entries: Database<Buffer, Buffer>
  readonly metas: Database<Buffer, Buffer>
  readonly pageBytes: number
}

class LmdbStateStore implements StateStore {
  private readonly directory: string
  private readonly options: LmdbStoreOptions
  private readonly room: DiskRoom
  private lock: DirectoryLock | undefined
  private db: Opened | undefined

  constructor(directory: string, options: LmdbStoreOptions) {
    this.directory = directory
    this.options = options
    this.room = new DiskRoom(directory, options)
  }

  async open(): Promise<void> {
    await mkdir(this.directory, { recursive: true })
    const lock = await lockDirectory(this.directory)
    try {
      this.room.claim(0)
      const fault = (await lostPower(this.directory))
        ? 'the system went down before it was flushed'
        : await this.tryOpen()
      await markUnflushed(this.directory)
      if (fault !== null) {
        await this.startOver()
        this.options.onDiscarded?.(fault)
      }
      this.lock = lock
    } catch (error) {
      await this.closeFiles()
      await lock.release()
      throw error
    }
  }

  get(key: Bytes): Bytes | undefined {
    const shared = this.opened().entries.getBinaryFast(asBuffer(key))
    // What comes is one large buffer of the driver with a length of its own: every other view of it would show too much.
    return shared?.subarray(0, shared.length)
  }

  scan(prefix: Bytes, after: Bytes | null, limit: number): { key: Bytes; value: Bytes }[] {
    const found: { key: Bytes; value: Bytes }[] = []
    if (limit <= 0) return found
    const start = asBuffer(prefix)
    const beyond = after !== null && Buffer.compare(after, start) >= 0 ? Buffer.concat([after, Buffer.alloc(1)]) : start
    // LMDB knows no empty key.
    for (const { key, value } of this.opened().entries.getRange(beyond.length === 0 ? {} : { start: beyond })) {
      if (found.length === limit || !startsWith(key, start)) break
      found.push({ key, value })
    }
    return found
  }

  meta(): Bytes | undefined {
    return this.storedMeta()
  }

  async commit(
    changes: Iterable<StateChange>,
    meta: Bytes,
    check?: (stored: Bytes | undefined) => boolean,
    inside?: () => void,
  ): Promise<void> {
    const { root, entries, metas } = this.opened()
    try {
      if (inside === undefined) return await this.commitAside(changes, meta, check)
      root.transactionSync(() => {
        if (check !== undefined && !check(this.storedMeta())) throw this.moved()
        for (const { key, value } of this.admitted(changes))
          if (value === null) entries.removeSync(asBuffer(key))
          else entries.putSync(asBuffer(key), asBuffer(value))
        metas.putSync(metaKey, encodeMeta(meta))
        inside?.()
      })
    } catch (error) {
      throw this.failure(error)
    }
  }

  /**
   * The same by the driver's own thread: what is put in one turn of the event loop is one transaction. The directory is
   * ours alone and commits of a store follow one another, so that the check may come before it.
   */
  private async commitAside(
    changes: Iterable<StateChange>,
    meta: Bytes,
    check?: (stored: Bytes | undefined) => boolean,
  ): Promise<void> {
    const { root, entries, metas } = this.opened()
    if (check !== undefined && !check(this.storedMeta())) throw this.moved()
    const admitted = this.admitted(changes)
    // A reader left open would keep the pages it sees from being used again, and the file would grow.
    root.resetReadTxn()
    // Most of the driver's promises are one and the same.
    const puts = admitted.map(({ key, value }) =>
      value === null ? entries.remove(asBuffer(key)) : entries.put(asBuffer(key), asBuffer(value)),
    )
    puts.push(metas.put(metaKey, encodeMeta(meta)))
    try {
      await Promise.all(new Set(puts))
    } catch (cause) {
      await silence(cause)
      throw this.failed(cause)
    }
  }

  /**
   * The changes, rendered before the first is put: a fault in the middle must not leave half of them behind. Errors:
   * `disk_full`.
   */
  private admitted(changes: Iterable<StateChange>): readonly StateChange[] {
    const rendered = [...changes]
    this.room.claim(growthOf(rendered, this.usedBytes(), this.opened().pageBytes))
    return rendered
  }

  private moved(): LoyaltyError {
    return new LoyaltyError('state_moved', `the state in ${this.directory} was written by another owner`)
  }

  async wipe(): Promise<void> {
    this.opened()
    await this.startOver()
  }

  stats(): { entries: number; bytes: number } {
    const { entryCount } = this.opened().entries.getStats() as { entryCount: number }
    return { entries: entryCount, bytes: this.usedBytes() }
  }

  async close(): Promise<void> {
    const { lock } = this
    this.lock = undefined
    if (lock === undefined) return
    try {
      await this.closeFiles()
      await flush(this.dataFile())
      await markFlushed(this.directory)
    } finally {
      await lock.release()
    }
  }

  private opened(): Opened {
    if (this.db === undefined) throw new LoyaltyError('state_closed', `the state in ${this.directory} is not open`)
    return this.db
  }

  /** Opens the files; answers why what they hold cannot be trusted, or null. */
  private async tryOpen(): Promise<string | null> {
    const fault = await faultOf(this.dataFile())
    if (fault !== null) return fault
    try {
      this.db = openFiles(this.directory)
      this.storedMeta()
      return null
    } catch (error) {
      return messageOf(error)
    }
  }

  private async startOver(): Promise<void> {
    await this.closeFiles()
    try {
      for (const name of [dataFile, 'lock.mdb']) await rm(join(this.directory, name), { force: true })
      this.db = openFiles(this.directory)
    } catch (cause) {
      throw new LoyaltyError('state_unreadable', `no state can be kept in ${this.directory}: ${messageOf(cause)}`, {
        details: { directory: this.directory },
        cause,
      })
    }
  }

  private async closeFiles(): Promise<void> {
    const { db } = this
    this.db = undefined
    await db?.root.close()
  }

  /** Errors: `state_unreadable` where the metadata is damaged or of another format. */
  private storedMeta(): Buffer | undefined {
    const stored = this.opened().metas.getBinary(metaKey)
    if (stored === undefined) return undefined
    const bytes = stored.subarray(metaHeaderBytes)
    if (stored.length >= metaHeaderBytes && stored[0] === formatVersion && stored.readUInt32BE(1) === crc32(bytes))
      return bytes
    throw new LoyaltyError('state_unreadable', `the metadata in ${this.directory} is damaged or of another format`)
  }

  /** Of the disk: the file itself is sparse, and as large as the mapping. */
  private usedBytes(): number {
    return statSync(this.dataFile()).blocks * statBlockBytes
  }

  private dataFile(): string {
    return join(this.directory, dataFile)
  }

  private failure(error: unknown): unknown {
    return error instanceof LoyaltyError || !isLmdbError(error) ? error : this.failed(error)
  }

  private failed(error: unknown): LoyaltyError {
    return new LoyaltyError(
      'state_failed',
      `the state in ${this.directory} could not be written: ${messageOf(error)}`,
      {
        retriable: true,
        cause: error,
      },
    )
  }
}

function openFiles(directory: string): Opened {
  const root = open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    maxDbs: 2,
    noSync: true,
    mapSize: mappedBytes,
    // Pages are changed in place in the mapping: half the time of copying each and writing it out.
    useWritemap: true,
    overlappingSync: false,
    noMemInit: true,
    ...encodings,
  })
  return {
    root,
    entries: root.openDB<Buffer, Buffer>({ name: 'entries', ...encodings }),
    metas: root.openDB<Buffer, Buffer>({ name: 'meta', ...encodings }),
    pageBytes: (root.getStats() as { pageSize: number }).pageSize,
  }
}

/** Version, checksum, metadata. */
function encodeMeta(meta: Bytes): Buffer {
  const header = Buffer.allocUnsafe(metaHeaderBytes)
  header.writeUInt8(formatVersion, 0)
  header.writeUInt32BE(crc32(meta), 1)
  return Buffer.concat([header, meta])
}

async function flush(path: string): Promise<void> {
  const file = await openFile(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The driver hangs a second rejected promise on the error of a commit; nobody else listens to it. */
async function silence(error: unknown): Promise<void> {
  const { commitError } = error as { commitError?: unknown }
  if (commitError instanceof Promise) await commitError.catch(() => {})
}

/** LMDB's own errors carry its numeric code. */
function isLmdbError(error: unknown): boolean {
  return error instanceof Error && typeof (error as { code?: unknown }).code === 'number'
}

function asBuffer(bytes: Bytes): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function startsWith(key: Buffer, prefix: Buffer): boolean {
  return key.length >= prefix.length && key.compare(prefix, 0, prefix.length, 0, prefix.length) === 0
}
