import { stat } from 'node:fs/promises'
import { largestTransactionValue } from '#schemas/dead-letter.ts'
import type { EventEncoder } from '#schemas/encoder.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { Buckets } from '../files/buckets.ts'
import { headerOf } from '../files/columns.ts'
import { fileEmpty } from '../files/empty.ts'
import { type FileInput, readRows, unknownInput } from '../files/rows.ts'
import { frame } from '../receipts/prepared-events.ts'
import { bucketsFor, hashOf } from '../receipts/spill.ts'
import { findClientColumns } from './columns.ts'
import { ClientMapper, type ClientMapperOptions } from './map-row.ts'
import type { ClientsProfile } from './profile.ts'
import { type ClientFault, type ClientReason, type ClientVerdict, clientSentences } from './verdicts.ts'

export interface PrepareOptions extends ClientMapperOptions {
  readonly path: string
  readonly profile: ClientsProfile
  /** Where events wait to be published; emptied first. All rows of a client are in one bucket. */
  readonly directory: string
  readonly partitions: number
  readonly encoder: EventEncoder<'ClientProfileChanged'>
  readonly signal: AbortSignal
  readonly onProgress: (share: number) => void
}

/** What the rows of a file of clients came to. */
export interface PreparedClients {
  readonly buckets: number
  readonly rows: { readonly accepted: number; readonly rejected: number }
  readonly rejected: Partial<Record<ClientReason, number>>
  readonly verdicts: readonly ClientVerdict[]
  readonly input: FileInput
}

const listedVerdicts = 20

/** Reads and judges every row. Errors: `file_empty`, `columns_missing`, and those of `readRows`. */
export async function prepareClients(options: PrepareOptions): Promise<PreparedClients> {
  const { path, profile, directory, signal } = options
  const buckets = await Buckets.create(directory, await bucketsFor(path))
  const { size } = await stat(path)
  const input = unknownInput()
  const tally = new ClientTally(buckets, options)
  let mapper: ClientMapper | null = null
  let row = 0
  try {
    const batches = readRows(path, profile.format, {
      input,
      notation: profile,
      onBytes: (bytes) => options.onProgress(bytes / Math.max(1, size)),
    })
    for await (const batch of batches) {
      signal.throwIfAborted()
      for (const [at, cells] of batch.entries()) {
        if (mapper === null) {
          const columns = findClientColumns(profile, headerOf(profile.format, cells))
          mapper = new ClientMapper(profile, columns, options)
          if (profile.format.header) continue
        }
        row++
        tally.take(batch.numbers?.[at] ?? row, mapper.map(cells))
      }
      await buckets.drain()
    }
    if (row === 0) throw fileEmpty(mapper === null ? 'nothing' : 'header')
    await buckets.finish()
  } finally {
    await buckets.close()
  }
  const { accepted, rejected, verdicts } = tally
  return { buckets: buckets.count, rows: { accepted, rejected: row - accepted }, rejected, verdicts, input }
}

class ClientTally {
  accepted = 0
  readonly rejected: Partial<Record<ClientReason, number>> = {}
  readonly verdicts: ClientVerdict[] = []
  readonly #buckets: Buckets
  readonly #options: Pick<PrepareOptions, 'encoder' | 'partitions'>

  constructor(buckets: Buckets, options: Pick<PrepareOptions, 'encoder' | 'partitions'>) {
    this.#buckets = buckets
    this.#options = options
  }

  take(row: number, judged: ReturnType<ClientMapper['map']>): void {
    if ('code' in judged) this.#reject(row, judged)
    else {
      const value = this.#options.encoder.encode(judged)
      if (value.length > largestTransactionValue) this.#reject(row, { code: 'too_large', field: null })
      else this.#accept(row, judged.client_id, value)
    }
  }

  #accept(row: number, clientId: string, value: Uint8Array): void {
    const key = Buffer.from(clientId)
    const bucket = hashOf(clientId) % this.#buckets.count
    this.#buckets.append(bucket, frame([{ number: row }], partitionOf(key, this.#options.partitions), key, value))
    this.accepted++
  }

  #reject(row: number, { code, field }: ClientFault): void {
    this.rejected[code] = (this.rejected[code] ?? 0) + 1
    if (this.verdicts.length < listedVerdicts)
      this.verdicts.push({ row, code, field, value: null, sentence: clientSentences[code] })
  }
}
