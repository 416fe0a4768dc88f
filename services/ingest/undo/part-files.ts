import { appendFile, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bucketPath } from '../files/buckets.ts'

/** Frames of events, one file after the other, each small enough to be read whole: what `readEvents` reads. */
export class PartFiles {
  readonly #directory: string
  #pending: Uint8Array[] = []
  #bytes = 0
  #files = 0

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Starts over: a directory with what an interrupted run left is emptied. */
  static async create(directory: string): Promise<PartFiles> {
    await rm(directory, { recursive: true, force: true })
    await mkdir(directory, { recursive: true })
    return new PartFiles(directory)
  }

  append(part: Uint8Array): void {
    this.#pending.push(part)
    this.#bytes += part.length
  }

  async drain(limit = 8 * 1024 * 1024): Promise<void> {
    if (this.#bytes < limit || this.#pending.length === 0) return
    await writeDurably(bucketPath(this.#directory, this.#files++), this.#pending)
    this.#pending = []
    this.#bytes = 0
  }

  /** A further file of the directory. */
  async writeAside(name: string, content: Uint8Array): Promise<void> {
    await writeDurably(join(this.#directory, name), [content])
  }

  /** Writes the rest and answers how many files there are. */
  async finish(): Promise<number> {
    await this.drain(0)
    return this.#files
  }
}

async function writeDurably(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(Buffer.concat(parts))
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Transactions that stay, as CSV. */
export class StandingList {
  #lines: string[] = ['client_id,transaction_id\n']

  add(clientId: string, transactionId: string): void {
    this.#lines.push(`${cell(clientId)},${cell(transactionId)}\n`)
  }

  async drain(directory: string, name: string, limit = 10_000): Promise<void> {
    if (this.#lines.length < limit) return
    await appendFile(join(directory, name), this.#lines.join(''))
    this.#lines = []
  }

  async finish(directory: string, name: string): Promise<void> {
    await this.drain(directory, name, 0)
  }
}

function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
