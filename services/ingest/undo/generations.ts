import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { TransactionRecorded } from '#schemas/events.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Hash64 } from '#streams/domain/hash.ts'
import { inGeneration, splitGeneration } from '#streams/domain/transaction-id.ts'
import { syncDirectory } from '../../platform/sync-directory.ts'
import { receiptKey } from './receipt-key.ts'

type Referring = Pick<TransactionRecorded, 'client_id' | 'transaction_id' | 'original_transaction_id'>

/**
 * Which generation a receipt's id has now: how often it was taken back or replaced. One file per undo or replacement, the
 * sorted keys (`receiptKey`, eight bytes each) of the receipts whose generation it ended. The generation of a receipt is
 * the number of files that have its key.
 */
export class Generations {
  readonly #directory: string
  readonly #except: string | null
  /** All keys of all files, sorted; one that is in two files stands twice. */
  #hi = new Uint32Array(0)
  #lo = new Uint32Array(0)
  #stamp = ''
  #looking: Promise<void> = Promise.resolve()

  private constructor(directory: string, except: string | null) {
    this.#directory = directory
    this.#except = except
  }

  /** `except`: an undo whose own file does not count, because it is about to be made. */
  static async open(dataDir: string, except: string | null = null): Promise<Generations> {
    const generations = new Generations(join(dataDir, 'generations'), except)
    await generations.refresh()
    return generations
  }

  /** Keys known; 0 as long as nothing was taken back. */
  get size(): number {
    return this.#hi.length
  }

  /** Changes whenever ids may. */
  get version(): string {
    return this.#stamp
  }

  /** Reads the files anew where there are others than before: another program may have worked. */
  refresh(): Promise<void> {
    // One after the other: a look that began earlier must not have the last word.
    const next = this.#looking.catch(() => {}).then(() => this.#look())
    this.#looking = next
    return next
  }

  async #look(): Promise<void> {
    const names = await this.#names()
    const stamp = names.join()
    if (stamp === this.#stamp) return
    const parts: Buffer[] = []
    for (const name of names) parts.push(await readFile(join(this.#directory, name)))
    const { hi, lo } = halves(sortedKeys(parts))
    this.#hi = hi
    this.#lo = lo
    this.#stamp = stamp
  }

  /** Makes the keys of an undo count, durably. The same undo again writes the same file. */
  async install(taskId: string, keys: BigUint64Array): Promise<void> {
    await mkdir(this.#directory, { recursive: true })
    const path = join(this.#directory, `${taskId}${extension}`)
    const file = await open(`${path}.new`, 'w')
    try {
      await file.writeFile(new Uint8Array(keys.buffer, keys.byteOffset, keys.byteLength))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(`${path}.new`, path)
    await syncDirectory(this.#directory)
    await this.refresh()
  }

  /**
   * Makes sure that the files of these undos are there. Errors: `generations_lost` (retriable): without them receipts that
   * were taken back would get their old ids, and be taken for duplicates of what was voided.
   */
  mustHave(taskIds: readonly string[]): void {
    const lost = taskIds.filter((taskId) => taskId !== this.#except && !this.#stamp.includes(`${taskId}${extension}`))
    if (lost.length === 0) return
    throw new LoyaltyError(
      'generations_lost',
      `${this.#directory} lacks files of ${lost.length} undos, such as ${lost[0]}${extension}: restore them from a backup, or work where the ingest program has its data`,
      { retriable: true, details: { directory: this.#directory, lost: lost.slice(0, 20) } },
    )
  }

  /** Whether the file of an undo is there. */
  has(taskId: string): boolean {
    return this.#stamp.split(',').includes(`${taskId}${extension}`)
  }

  /** Generation of the receipt with this key. */
  of({ hi, lo }: Hash64): number {
    const keys = this.#hi
    const count = keys.length
    if (count === 0) return 0
    // Keys are hashes, so that the place of one is known nearly.
    let at = Math.min(count - 1, Math.floor((hi / 0x1_0000_0000) * count))
    let step = 1
    while (at > 0 && keys[at]! >= hi) {
      at = Math.max(0, at - step)
      step *= 2
    }
    let from = at
    let to = at
    for (step = 1; to < count && keys[to]! < hi; step *= 2) {
      from = to
      to = Math.min(count, to + step)
    }
    while (from < to) {
      const middle = (from + to) >>> 1
      if (keys[middle]! < hi) from = middle + 1
      else to = middle
    }
    let generation = 0
    for (; from < count && keys[from] === hi; from++) if (this.#lo[from] === lo) generation++
    return generation
  }

  /** An id as it is now: `base` has no generation. */
  idOf(clientId: string, base: string): string {
    if (this.size === 0) return base
    receiptKey(clientId, base, scratch)
    return inGeneration(base, this.of(scratch))
  }

  /** As `idOf`, for an id that may have a generation, which may have ended. */
  renewed(clientId: string, id: string): string {
    return this.size === 0 ? id : this.idOf(clientId, splitGeneration(id).base)
  }

  /** A transaction with its ids as they are now; the very same where none of them has ended. */
  inForce<Event extends Referring>(event: Event): Event {
    const { client_id: client, transaction_id: id, original_transaction_id: original } = event
    const renewedId = this.renewed(client, id)
    const renewedOriginal = original === null ? null : this.renewed(client, original)
    if (renewedId === id && renewedOriginal === original) return event
    return { ...event, transaction_id: renewedId, original_transaction_id: renewedOriginal }
  }

  async #names(): Promise<string[]> {
    const names = await readdir(this.#directory).catch(() => [])
    return names.filter((name) => name.endsWith(extension) && name !== `${this.#except}${extension}`).sort()
  }
}

const extension = '.keys'
const scratch: Hash64 = { hi: 0, lo: 0 }

function sortedKeys(parts: readonly Buffer[]): BigUint64Array {
  const [only] = parts
  // A file is sorted already, and large ones come in memory of their own.
  if (only !== undefined && parts.length === 1 && only.byteOffset % 8 === 0)
    return new BigUint64Array(only.buffer, only.byteOffset, Math.floor(only.length / 8))
  const total = parts.reduce((sum, { length }) => sum + Math.floor(length / 8), 0)
  const keys = new BigUint64Array(total)
  const bytes = new Uint8Array(keys.buffer)
  let at = 0
  for (const part of parts) {
    bytes.set(part.subarray(0, part.length - (part.length % 8)), at)
    at += part.length - (part.length % 8)
  }
  return parts.length > 1 ? keys.sort() : keys
}

/** Halves are looked up without making a bigint. */
function halves(keys: BigUint64Array): { hi: Uint32Array<ArrayBuffer>; lo: Uint32Array<ArrayBuffer> } {
  const words = new Uint32Array(keys.buffer, keys.byteOffset, keys.length * 2)
  const hi = new Uint32Array(keys.length)
  const lo = new Uint32Array(keys.length)
  for (let i = 0; i < keys.length; i++) {
    lo[i] = words[2 * i]!
    hi[i] = words[2 * i + 1]!
  }
  return { hi, lo }
}
