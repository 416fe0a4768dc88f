import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { EventEncoder } from '#schemas/encoder.ts'
import type { ProgrammeConfigured } from '#schemas/events.ts'
import { registerAll } from '#schemas/registry.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { untilProjected } from '../completion.ts'
import type { JobDeps } from '../job.ts'
import { withOriginal } from '../originals/originals.ts'
import { minorDigits } from '../parse/currency.ts'
import type { ProgressMeter } from '../progress.ts'
import type { ReportWarning } from '../report.ts'
import type { Checkpoint, UploadTask } from '../store/uploads.ts'
import { removeClientFile } from './originals.ts'
import { type PreparedClients, prepareClients } from './prepare.ts'
import type { ClientsProfile } from './profile.ts'
import { publishClients } from './publish.ts'
import type { ClientsReport } from './report.ts'

export type ClientsTask = UploadTask & { readonly profile: ClientsProfile }

/**
 * The work on one upload of clients' master data, from the stored file to COMPLETED. An attempt after a crash reads the file
 * again and publishes what the log has not got yet.
 */
export class ClientsJob {
  readonly #deps: JobDeps
  readonly #task: ClientsTask
  readonly #meter: ProgressMeter
  readonly #signal: AbortSignal

  constructor(deps: JobDeps, task: ClientsTask, meter: ProgressMeter, signal: AbortSignal) {
    this.#deps = deps
    this.#task = task
    this.#meter = meter
    this.#signal = signal
  }

  /**
   * `programme` is null where none has begun. Errors: `programme_missing`, those of `prepareClients`, and those of the log, the
   * registry and the stores.
   */
  async run(programme: ProgrammeConfigured | null): Promise<ClientsReport> {
    const prepared = await this.#prepare(programme ?? noProgramme())
    const clients = await this.#publish(prepared)
    await this.#project()
    this.#deps.crash('before-completed')
    const { rows, rejected, verdicts, input } = prepared
    const warnings = rows.accepted === clients ? [] : [repeated(rows.accepted - clients)]
    const seconds = this.#meter.seconds()
    for (const [phase, value] of Object.entries(seconds)) this.#deps.metrics.stepSeconds.observe({ kind: phase }, value)
    return {
      ...{ kind: 'clients', lines: rows.accepted + rows.rejected, rows, rejected, clients, seconds, input, verdicts },
      ...(warnings.length === 0 ? {} : { warnings }),
    }
  }

  /** Deletes what was prepared and, now that the upload has ended, the original: it is personal data, which is kept in the topic alone. */
  async clean(): Promise<void> {
    await rm(this.#directory(), { recursive: true, force: true })
    await removeClientFile(this.#deps.originals, this.#deps.store, this.#task)
  }

  #directory(): string {
    return join(this.#deps.dataDir, 'spill', this.#task.batchId)
  }

  async #prepare({ partitions, currency }: ProgrammeConfigured): Promise<PreparedClients> {
    const { originals, registry, topics, store, metrics, crash } = this.#deps
    const { batchId, profile } = this.#task
    this.#meter.begin('reading')
    const { ClientProfileChanged: schemaId } = await registerAll(registry, topics, ['ClientProfileChanged'])
    const prepared = await withOriginal(originals, this.#task, (path) =>
      prepareClients({
        path,
        profile,
        directory: this.#directory(),
        digits: minorDigits(currency),
        source: `upload:${batchId}`,
        partitions,
        encoder: new EventEncoder('ClientProfileChanged', schemaId),
        signal: this.#signal,
        onProgress: (share) => this.#meter.share(share),
      }),
    )
    const lines = prepared.rows.accepted + prepared.rows.rejected
    await store.rowsRead(batchId, lines, lines)
    metrics.batchRecords.observe({ kind: 'file' }, lines)
    crash('after-rows')
    return prepared
  }

  async #publish({ buckets }: PreparedClients): Promise<number> {
    const { log, topics, metrics, crash } = this.#deps
    const resumed = this.#task.checkpoint !== null
    const { clientsFrom = [] } = await this.#checkpoint()
    this.#meter.begin('publishing')
    const clients = await publishClients({
      log,
      topic: topics.clients,
      directory: this.#directory(),
      buckets,
      from: clientsFrom,
      resumed,
      signal: this.#signal,
      onProgress: (share) => this.#meter.share(share),
      onAppended: (records, ms) => {
        metrics.records.inc({ topic: topics.clients }, records)
        metrics.batchRecords.observe({ kind: 'publish' }, records)
        metrics.stepSeconds.observe({ kind: 'publish' }, ms / 1_000)
        crash('inside-publishing')
      },
    })
    crash('after-publishing')
    return clients
  }

  /** Where the topic ended before this upload published; taken once, kept for every later attempt. */
  async #checkpoint(): Promise<Checkpoint> {
    if (this.#task.checkpoint !== null) return this.#task.checkpoint
    const { log, topics, store, crash } = this.#deps
    const clientsFrom = await log.admin.endOffsets(topics.clients)
    const checkpoint = { transactionsFrom: [], acceptedFrom: [], clientsFrom }
    await store.saveCheckpoint(this.#task.taskId, checkpoint)
    crash('after-checkpoint')
    return checkpoint
  }

  async #project(): Promise<void> {
    const { log, topics, projections } = this.#deps
    this.#meter.begin('projecting')
    await untilProjected(log, [topics.clients], projections, {
      signal: this.#signal,
      onProgress: (share) => this.#meter.share(share),
    })
  }
}

/** Throws. */
export function noProgramme(): never {
  throw new LoyaltyError(
    'programme_missing',
    'nothing has configured the programme yet, so that its currency and partitions are not known: run loyalty start, or ' +
      'ingest a file of transactions; then upload the file of clients again',
  )
}

function repeated(rows: number): ReportWarning {
  const message = `${rows} rows are of a client that comes again further down; the last row of each client stands`
  return { code: 'client_repeated', message, details: { rows } }
}
