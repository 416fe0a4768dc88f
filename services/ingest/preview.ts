import { mkdir, rm } from 'node:fs/promises'
import { EventEncoder } from '#schemas/encoder.ts'
import { type ClientsTotals, dryRunClients } from './clients/preview.ts'
import { isOfClients } from './clients/profile.ts'
import type { ClientVerdict } from './clients/verdicts.ts'
import { type FileInput, unknownInput } from './files/rows.ts'
import type { AnyProfile, FileProfile } from './profile.ts'
import { mappingOf } from './proposal/known.ts'
import { type ProposedColumn, proposalBody } from './proposal/proposal.ts'
import { readSampleBy } from './proposal/sample.ts'
import { type ReadingDeps, type ReadingWish, readingOf } from './reading.ts'
import { prepareReceipts } from './receipts/prepare.ts'
import type { FileTotals } from './receipts/receipt-pass.ts'
import type { ReportVerdict } from './report.ts'
import { type Reason, sentences } from './verdicts.ts'

/** What an upload of a file would come to, found out as an upload does; nothing is published or kept. */
export interface FilePreview {
  /** `given`: by the profile that was given; else how the profile was come by. */
  readonly basis: 'given' | 'known' | 'variant' | 'content'
  /** Name of the known profile; null where there is none. */
  readonly known: string | null
  /** True where an upload would be read so unasked. */
  readonly good_enough: boolean
  readonly confirm: readonly { readonly field: string; readonly message: string }[]
  readonly columns: readonly ProposedColumn[]
  /** As far as it is known. */
  readonly profile: Readonly<Record<string, unknown>>
  /** Null where something is missing that the rows cannot be read without. */
  readonly totals: PreviewTotals | ClientsTotals | null
  /** Of the first rows that would be rejected or flagged; a receipt's at its first row. */
  readonly verdicts: readonly (ReportVerdict | ClientVerdict)[]
  readonly input: FileInput
}

export interface PreviewTotals {
  /** Rows of the file, without the header; `rows` sums to it. */
  readonly lines: number
  readonly rows: { readonly accepted: number; readonly rejected: number }
  readonly rejected: Partial<Record<Reason, number>>
  /** Before the stream has looked for transactions that it knows. */
  readonly transactions: number
  readonly sales: number
  readonly refunds: number
  readonly voids: number
  readonly clients: number
  readonly gross_minor: number
  readonly refunded_minor: number
  readonly currency: string
  readonly seconds: number
}

export interface PreviewOptions {
  /** For what does not fit into memory; it is made, and removed again. */
  readonly directory: string
  readonly signal?: AbortSignal
  readonly onProgress?: (share: number) => void
}

/** Errors: those of `readingOf`, `prepareReceipts` and `prepareClients`. */
export async function previewFile(
  deps: ReadingDeps,
  path: string,
  wish: ReadingWish,
  options: PreviewOptions,
): Promise<FilePreview> {
  const reading = await readingOf(deps, path, wish)
  const profile = reading.profile ?? reading.proposal.profile
  const run = profile === null ? null : await runOf(deps, path, profile, wish, options)
  const about = reading.proposal === null ? await aboutGiven(path, reading.profile) : proposalBody(reading.proposal)
  const input = run?.input ?? reading.proposal?.input ?? unknownInput()
  return { ...about, basis: reading.basis, totals: run?.totals ?? null, verdicts: run?.verdicts ?? [], input }
}

async function runOf(
  { context }: ReadingDeps,
  path: string,
  profile: AnyProfile,
  wish: ReadingWish,
  options: PreviewOptions,
): Promise<Pick<FilePreview, 'totals' | 'verdicts' | 'input'>> {
  if (!isOfClients(profile)) return dryRun(path, profile, options)
  const { directory, signal = new AbortController().signal, onProgress = () => {} } = options
  const currency = wish.currency ?? (await context()).currency
  try {
    return await dryRunClients({ path, profile, directory, currency, signal, onProgress })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function aboutGiven(path: string, profile: AnyProfile) {
  const columns = mappingOf(profile, await readSampleBy(path, profile.format))
  return { known: profile.name, good_enough: true, confirm: [], columns, profile }
}

/** What an upload does with a file before it publishes. */
async function dryRun(
  path: string,
  profile: FileProfile,
  { directory, signal, onProgress }: PreviewOptions,
): Promise<Pick<FilePreview, 'verdicts' | 'input'> & { totals: PreviewTotals }> {
  const started = performance.now()
  let grouping = false
  try {
    await mkdir(directory, { recursive: true })
    const { tally, receipts, verdicts, input } = await prepareReceipts({
      ...{ profile, directory, signal },
      ...{ rowsKey: 'preview', eventsKey: 'preview', batchId: '', partitions: 1, dryRun: true },
      uploadedAtMs: Date.now(),
      encoder: new EventEncoder('TransactionRecorded', 0),
      original: (work) => work(path),
      progress: {
        begin(phase) {
          grouping = phase === 'grouping'
        },
        share(share) {
          onProgress?.(grouping ? readingShare + share * (1 - readingShare) : share * readingShare)
        },
      },
    })
    const seconds = Math.round(performance.now() - started) / 1_000
    return {
      totals: totalsOf(tally, receipts, profile.currency, seconds),
      verdicts: verdicts.map((verdict) => ({ ...verdict, sentence: sentences[verdict.code] })),
      input,
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Of the time of a file that takes two passes. */
const readingShare = 0.6

function totalsOf(
  tally: { rejected: PreviewTotals['rejected']; acceptedRows: number; rejectedRows: number },
  receipts: FileTotals,
  currency: string,
  seconds: number,
): PreviewTotals {
  return {
    lines: tally.acceptedRows + tally.rejectedRows,
    rows: { accepted: tally.acceptedRows, rejected: tally.rejectedRows },
    rejected: tally.rejected,
    transactions: receipts.receipts,
    sales: receipts.sales,
    refunds: receipts.refunds,
    voids: receipts.voids,
    clients: receipts.clients,
    gross_minor: receipts.grossMinor,
    refunded_minor: receipts.refundedMinor,
    currency,
    seconds,
  }
}
