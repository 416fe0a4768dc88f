import { Cron } from 'croner'
import type { Pool } from 'pg'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Logger } from '../../platform/logging.ts'
import { startTrace, withTrace } from '../../platform/trace.ts'
import { acceptFile, discardFile, type IntakeDeps, storeFile } from '../intake.ts'
import type { SourceConfig } from './config.ts'
import { folderSource } from './folder.ts'
import { postgresSource } from './postgres.ts'
import { s3Source } from './s3.ts'
import type { Fate, Offer, Source } from './source.ts'
import { SourceStore, type TakenFile } from './store.ts'

export interface SourcesDeps {
  readonly sources: readonly SourceConfig[]
  readonly intake: IntakeDeps
  readonly pool: Pool
  readonly nowMs: () => number
  readonly logger: Logger
  /** A task was written: the worker need not wait for its next look. */
  readonly onTask: () => void
  /** How often files that were taken are looked after until they are out of the way; default 2 s. */
  readonly settleMs?: number | undefined
}

export interface SourceView {
  readonly name: string
  readonly kind: SourceConfig['kind']
  readonly schedule: string
  readonly nextRunMs: number | null
  readonly lastRunMs: number | null
  readonly watermark: string | null
  readonly error: { readonly code: string; readonly message: string } | null
  /** Files taken that are not out of the way yet. */
  readonly openFiles: readonly string[]
}

export interface RunOutcome {
  /** Names of the files that became uploads. */
  readonly taken: readonly string[]
  /** Names of those that were refused. */
  readonly refused: readonly string[]
}

interface Entry {
  readonly config: SourceConfig
  readonly source: Source
  readonly cron: Cron
  /** The run under way, if any: a second one would find the same files. */
  running: Promise<RunOutcome> | null
  /** Ends with everything begun so far: one thing at a time. */
  work: Promise<unknown>
  settling: NodeJS.Timeout | null
}

/** Looks through the sources by their schedules until `close`. What goes wrong is told, and tried again at the next run. */
export class Sources {
  readonly #deps: SourcesDeps
  readonly #store: SourceStore
  readonly #entries: ReadonlyMap<string, Entry>
  #closed = false

  constructor(deps: SourcesDeps) {
    this.#deps = deps
    this.#store = new SourceStore(deps.pool)
    this.#entries = new Map(deps.sources.map((config) => [config.name, this.#entryOf(config)]))
    // Files that were taken before a restart are looked after at once.
    for (const entry of this.#entries.values()) this.#settleLater(entry)
  }

  #entryOf(config: SourceConfig): Entry {
    const source = openSource(config, this.#deps)
    const entry: Entry = {
      config,
      source,
      cron: new Cron(config.schedule, { timezone: config.time_zone, unref: true }, () => {
        void this.#run(entry).catch(() => {})
      }),
      running: null,
      work: Promise.resolve(),
      settling: null,
    }
    return entry
  }

  async list(): Promise<SourceView[]> {
    return Promise.all(
      [...this.#entries.values()].map(async ({ config, cron }) => {
        const state = await this.#store.state(config.name)
        const open = await this.#store.taken(config.name)
        return {
          name: config.name,
          kind: config.kind,
          schedule: config.schedule,
          nextRunMs: cron.nextRun()?.getTime() ?? null,
          lastRunMs: state.lastRunMs,
          watermark: state.watermark,
          error: state.errorCode === null ? null : { code: state.errorCode, message: state.errorMessage ?? '' },
          openFiles: open.map(({ fileName }) => fileName),
        }
      }),
    )
  }

  /** Looks through a source now. Errors: `source_not_found`, `source_unavailable`, `source_busy`, those of the stores. */
  async run(name: string): Promise<RunOutcome> {
    const entry = this.#entries.get(name)
    if (entry === undefined)
      throw new LoyaltyError('source_not_found', `there is no source ${name}; sources: ${[...this.#entries.keys()]}`, {
        details: { name },
      })
    return this.#run(entry)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const { cron, settling } of this.#entries.values()) {
      cron.stop()
      if (settling !== null) clearTimeout(settling)
    }
    for (const { work, source } of this.#entries.values()) {
      await work
      await source.close()
    }
  }

  #run(entry: Entry): Promise<RunOutcome> {
    entry.running ??= inTurn(entry, () => withTrace(startTrace(), () => this.#runOnce(entry))).finally(() => {
      entry.running = null
      this.#settleLater(entry)
    })
    return entry.running
  }

  async #runOnce(entry: Entry): Promise<RunOutcome> {
    const { name } = entry.config
    const taken: string[] = []
    const refused: string[] = []
    let refusal: LoyaltyError | null = null
    try {
      const alone = await this.#store.alone(name, async () => {
        await this.#settle(entry)
        const { watermark } = await this.#store.state(name)
        const known = new Set((await this.#store.taken(name)).map(keyOf))
        for await (const offer of entry.source.offers(watermark)) {
          if (this.#closed) return
          if (known.has(keyOf(offer))) continue
          const error = await this.#take(entry, offer).catch(theFileAlone)
          if (error === 'taken') taken.push(offer.fileName)
          else if (error !== null) {
            refusal = error
            refused.push(offer.fileName)
          }
        }
        if (refused.length > 0) await this.#settle(entry)
      })
      if (!alone)
        throw new LoyaltyError('source_busy', `another program looks through ${name} now; try again in a moment`, {
          retriable: true,
        })
      await this.#store.ran(name, refusal)
      return { taken, refused }
    } catch (error) {
      await this.#failed(name, error)
      throw error
    }
  }

  async #failed(name: string, error: unknown): Promise<void> {
    const code = error instanceof LoyaltyError ? error.code : 'internal_error'
    this.#deps.logger.warn({ source: name, code, error }, `source ${name}: ${messageOf(error)}`)
    if (code !== 'source_busy') await this.#store.ran(name, { code, message: messageOf(error) }).catch(() => {})
  }

  /** Takes one offer; resolves with why it was refused, or null where there was nothing to take. */
  async #take(entry: Entry, offer: Offer): Promise<'taken' | LoyaltyError | null> {
    const { intake, logger, onTask } = this.#deps
    const { name } = entry.config
    const { content, finish } = await offer.open()
    const file = await storeFile(intake, offer.fileName, content)
    const { state, watermark } = await finish()
    if (state !== 'whole') {
      await discardFile(intake, file)
      if (state === 'changed') logger.info({ source: name, file: offer.fileName }, 'a file changed while it was read')
      return null
    }
    try {
      const take = (taskId: string) => this.#store.take(name, offer, taskId, watermark)
      const { taskId, batchId } = await acceptFile(intake, file, { profile: offer.profile ?? undefined }, take)
      logger.info({ source: name, file: offer.fileName, task_id: taskId, batch_id: batchId }, 'a file was taken')
      onTask()
      return 'taken'
    } catch (error) {
      if (!(error instanceof LoyaltyError) || error.retriable) throw error
      logger.warn({ source: name, file: offer.fileName, code: error.code }, `a file was refused: ${error.message}`)
      await this.#store.refuse(name, offer, error)
      return error
    }
  }

  #settleLater(entry: Entry): void {
    if (this.#closed || entry.settling !== null) return
    entry.settling = setTimeout(() => {
      entry.settling = null
      void inTurn(entry, () => this.#settleAlone(entry))
    }, this.#deps.settleMs ?? 2_000).unref()
  }

  async #settleAlone(entry: Entry): Promise<void> {
    const { name } = entry.config
    try {
      if (this.#closed || (await this.#store.taken(name)).length === 0) return
      await this.#store.alone(name, () => this.#settle(entry))
      if ((await this.#store.taken(name)).length > 0) this.#settleLater(entry)
    } catch (error) {
      this.#deps.logger.warn({ source: name, error }, `source ${name}: ${messageOf(error)}`)
      this.#settleLater(entry)
    }
  }

  /** Puts every file out of the way whose upload has ended, or which was refused. */
  async #settle({ config, source }: Entry): Promise<void> {
    for (const file of await this.#store.taken(config.name)) {
      const fate = fateOf(file)
      if (fate === null) continue
      await source.putAway(file.fileName, file.version, fate)
      await this.#store.forget(config.name, file)
    }
  }
}

/** Runs `work` when everything begun before it has ended. */
function inTurn<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
  const result = entry.work.then(work)
  entry.work = result.catch(() => {})
  return result
}

function openSource(config: SourceConfig, { intake, nowMs }: SourcesDeps): Source {
  switch (config.kind) {
    case 'folder':
      return folderSource(config, intake.dataDir, nowMs)
    case 's3':
      return s3Source(config)
    case 'postgres':
      return postgresSource(config, nowMs)
  }
}

/** Null while its upload has not ended. */
function fateOf({ status, errorCode, errorMessage }: TakenFile): Fate | null {
  if (status === 'PENDING' || status === 'PROCESSING') return null
  if (status === 'COMPLETED') return { kind: 'processed' }
  return { kind: 'failed', code: errorCode ?? 'unknown', message: errorMessage ?? '' }
}

function keyOf({ fileName, version }: { readonly fileName: string; readonly version: string }): string {
  return `${fileName}\0${version}`
}

/** An error that concerns one file, which stays for the next run; others go on. */
function theFileAlone(error: unknown): LoyaltyError {
  if (error instanceof LoyaltyError && error.code === 'source_file_unreadable') return error
  throw error
}
