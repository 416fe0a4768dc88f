import { statfsSync } from 'node:fs'
import { LoyaltyError } from '../core/error.ts'
import type { StateChange } from './state-store.ts'

export interface DiskRoomOptions {
  /** Bytes that a commit must leave free: for other writers of the disk, and where its need is estimated too low. */
  readonly reserveBytes?: number
  /** Bytes that may still be written where the directory is; null where nobody knows. */
  readonly freeBytes?: (directory: string) => number | null
}

const mebibyte = 1 << 20
const defaultReserveBytes = 64 * mebibyte
/** Of an entry, beside its key and value: header and pointer. */
const entryBytes = 10

/**
 * Refuses work that the disk has no room for, before it is begun. LMDB's file is a sparse one in a mapping: there a full
 * disk is no error but a SIGBUS, which ends the process without a word.
 */
export class DiskRoom {
  readonly #directory: string
  readonly #reserveBytes: number
  readonly #freeBytes: (directory: string) => number | null

  constructor(directory: string, options: DiskRoomOptions) {
    this.#directory = directory
    this.#reserveBytes = options.reserveBytes ?? defaultReserveBytes
    this.#freeBytes = options.freeBytes ?? freeBytesAt
  }

  /** Asks the file system each time: that takes microseconds, where others write to the same disk. Errors: `disk_full` (retriable). */
  claim(neededBytes: number): void {
    const free = this.#freeBytes(this.#directory)
    if (free === null || free >= neededBytes + this.#reserveBytes) return
    const [freeMib, neededMib, reserveMib] = [free, neededBytes, this.#reserveBytes].map(inMebibytes)
    throw new LoyaltyError(
      'disk_full',
      `the disk of ${this.#directory} has ${freeMib} MiB free; a commit may need ${neededMib} MiB and leaves ` +
        `${reserveMib} MiB. Make room on it: work goes on by itself then`,
      {
        retriable: true,
        details: { directory: this.#directory, freeBytes: free, neededBytes, reserveBytes: this.#reserveBytes },
      },
    )
  }
}

/**
 * Bytes that the file of a B-tree may grow by in one commit, pages freed earlier left out of account: a page in use is
 * copied where an entry of it changes, once at most; new pages may stay half empty; a large value has pages of its own.
 */
export function growthOf(changes: readonly StateChange[], usedBytes: number, pageBytes: number): number {
  let newBytes = 0
  for (const { key, value } of changes) {
    if (value === null) continue
    const bytes = entryBytes + key.length + value.length
    newBytes += bytes < pageBytes / 2 ? 2 * bytes : 2 * key.length + Math.ceil(bytes / pageBytes + 1) * pageBytes
  }
  return newBytes + Math.min(changes.length * pageBytes, usedBytes)
}

/** Of blocks that need no privilege. A file system without a size (0 blocks), or without an answer, is not known to be full. */
function freeBytesAt(directory: string): number | null {
  try {
    const { bavail, blocks, bsize } = statfsSync(directory)
    return blocks === 0 ? null : bavail * bsize
  } catch {
    return null
  }
}

function inMebibytes(bytes: number): string {
  return (bytes / mebibyte).toFixed(1)
}
