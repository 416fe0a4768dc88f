import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Buckets, readManifest, writeManifest } from '../files/buckets.ts'
import type { MappedRow, SpoiltRow } from './row.ts'
import { RowEncoder } from './row-codec.ts'
import { passRows, type RowPassOptions, type RowSink, type RowsRead } from './row-pass.ts'

/**
 * First pass over a file: every row is mapped and dealt out by the key of its receipt, so that rows of one receipt meet
 * in one bucket wherever they stand in the file. The manifest, written last, says that the pass is complete: a resumed
 * upload with a manifest never reads the file again.
 */
export interface SpillManifest extends RowsRead {
  /** What the pass depended on; a manifest with another key is not this pass's. */
  readonly key: string
  readonly buckets: number
}

export interface SpillOptions extends RowPassOptions {
  readonly directory: string
  readonly key: string
}

/**
 * Bytes of a bucket aimed at: what the second pass holds in memory at once, several times over until it is swept. Each
 * bucket is an open file and a piece of a buffer in the first.
 */
const bucketBytes = 384 * 1024
const maxBuckets = 512

/** The manifest of a pass that was completed before; null where there is none of this key. */
export async function spilledRows(directory: string, key: string): Promise<SpillManifest | null> {
  const done = await readManifest<SpillManifest>(join(directory, 'manifest.json'))
  return done?.key === key ? done : null
}

/** Runs the pass, anew. Errors: those of `passRows`. */
export async function spillRows(options: SpillOptions): Promise<SpillManifest> {
  const { directory, key, path } = options
  const buckets = await Buckets.create(directory, await bucketsFor(path))
  const { count } = buckets
  try {
    const read = await passRows(options, new SpillSink(buckets))
    await buckets.finish()
    // Its sink wants every row.
    const manifest: SpillManifest = { key, buckets: count, ...read! }
    await writeManifest(join(directory, 'manifest.json'), manifest)
    return manifest
  } finally {
    await buckets.close()
  }
}

/** Bytes of text that a file holds; compressed text is taken to be a tenth of its size. */
export async function textSizeOf(path: string): Promise<number> {
  const { size } = await stat(path)
  return /\.(gz|zst|zip|xlsx|xlsm)$/i.test(path) ? size * 10 : size
}

/** How many buckets a file is dealt out to. */
export async function bucketsFor(path: string): Promise<number> {
  return Math.min(maxBuckets, Math.max(4, Math.ceil((await textSizeOf(path)) / bucketBytes)))
}

/** Deals rows out by the keys of their receipts. */
class SpillSink implements RowSink {
  readonly #files: Buckets
  readonly #encoder = new RowEncoder()
  #lastKey = ''
  #lastBucket = 0

  constructor(files: Buckets) {
    this.#files = files
  }

  begin(): void {}

  take(row: MappedRow): void {
    this.#encoder.mapped(row)
    this.#append(row.key)
  }

  spoil(row: SpoiltRow): void {
    this.#encoder.spoilt(row)
    this.#append(row.key)
  }

  async drain(): Promise<boolean> {
    await this.#files.drain()
    return true
  }

  #append(key: string): void {
    const { bytes, length } = this.#encoder
    this.#files.append(this.#bucketOf(key), bytes, length)
  }

  #bucketOf(key: string): number {
    if (key !== this.#lastKey) {
      this.#lastKey = key
      this.#lastBucket = hashOf(key) % this.#files.count
    }
    return this.#lastBucket
  }
}

/** FNV-1a over UTF-16 units: spreads keys over buckets, identifies nothing. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
