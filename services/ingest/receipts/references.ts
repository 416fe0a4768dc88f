import { join } from 'node:path'
import { Buckets, readLines } from '../files/buckets.ts'

/** A refund or void of a file that names what it is of. */
export interface Reference {
  readonly clientId: string
  /** Id of the transaction that it refunds or voids. */
  readonly original: string
  /** What the row itself says of it. */
  readonly named: string
  /** Numbers of the rows of the refund or void. */
  readonly rows: readonly number[]
}

/** Refunds and voids whose originals are looked for once the stream has taken the file in: kept on disk until then. */
export class References {
  readonly #files: Buckets
  count = 0

  private constructor(files: Buckets) {
    this.#files = files
  }

  static async create(directory: string): Promise<References> {
    return new References(await Buckets.create(pathIn(directory), 1))
  }

  add(
    clientId: string,
    original: string,
    rows: readonly { readonly number: number; readonly original: string }[],
  ): void {
    this.count++
    const numbers = rows.map(({ number }) => number)
    this.#files.append(0, `${JSON.stringify([clientId, original, rows[0]!.original, ...numbers])}\n`)
  }

  async drain(): Promise<void> {
    await this.#files.drain()
  }

  async finish(): Promise<void> {
    await this.#files.finish()
  }

  async close(): Promise<void> {
    await this.#files.close()
  }
}

/** What was added under the directory of a pass, `count` at a time. */
export async function* readReferences(directory: string, count: number): AsyncGenerator<Reference[]> {
  let references: Reference[] = []
  for await (const lines of readLines(pathIn(directory), 0))
    for (const line of lines) {
      const [clientId, original, named, ...rows] = JSON.parse(line) as [string, string, string, ...number[]]
      references.push({ clientId, original, named, rows })
      if (references.length < count) continue
      yield references
      references = []
    }
  if (references.length > 0) yield references
}

function pathIn(directory: string): string {
  return join(directory, 'references')
}
