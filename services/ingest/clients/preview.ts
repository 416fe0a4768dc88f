import { join } from 'node:path'
import { EventEncoder } from '#schemas/encoder.ts'
import type { FileInput } from '../files/rows.ts'
import { minorDigits } from '../parse/currency.ts'
import { prepareClients } from './prepare.ts'
import type { ClientsProfile } from './profile.ts'
import { countClients } from './publish.ts'
import type { ClientReason, ClientVerdict } from './verdicts.ts'

/** What the rows of a file of clients would come to. */
export interface ClientsTotals {
  readonly kind: 'clients'
  /** Rows of the file, without the header; `rows` sums to it. */
  readonly lines: number
  readonly rows: { readonly accepted: number; readonly rejected: number }
  readonly rejected: Partial<Record<ClientReason, number>>
  /** Different clients of the accepted rows. */
  readonly clients: number
  readonly seconds: number
}

export interface ClientsDryRunOptions {
  readonly path: string
  readonly profile: ClientsProfile
  /** For what does not fit into memory. */
  readonly directory: string
  /** Of the programme, whose decimals a bonus has; null where it is not known: two. */
  readonly currency: string | null
  readonly signal: AbortSignal
  readonly onProgress: (share: number) => void
}

/** Reads and judges every row as an upload does. Errors: those of `prepareClients`. */
export async function dryRunClients(
  options: ClientsDryRunOptions,
): Promise<{ totals: ClientsTotals; verdicts: readonly ClientVerdict[]; input: FileInput }> {
  const { currency, directory, ...given } = options
  const started = performance.now()
  const eventsDirectory = join(directory, 'clients')
  const { buckets, rows, rejected, verdicts, input } = await prepareClients({
    ...given,
    directory: eventsDirectory,
    digits: currency === null ? 2 : minorDigits(currency),
    source: 'preview',
    partitions: 1,
    encoder: new EventEncoder('ClientProfileChanged', 0),
  })
  const clients = await countClients(eventsDirectory, buckets)
  const seconds = Math.round(performance.now() - started) / 1_000
  const lines = rows.accepted + rows.rejected
  return { totals: { kind: 'clients', lines, rows, rejected, clients, seconds }, verdicts, input }
}
