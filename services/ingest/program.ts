import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pool } from 'pg'
import { encodersOf } from '#schemas/encoder.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Clock } from '#streams/core/clock.ts'
import { messageOf } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import { listen, type ReadinessCheck } from '../platform/http.ts'
import type { Logger } from '../platform/logging.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createIngestApp } from './app.ts'
import { removeEndedClientFiles } from './clients/originals.ts'
import { Control } from './control.ts'
import type { IngestCrashHook } from './crash.ts'
import { deadLetterStatuses } from './dead-letters/app.ts'
import { openDeadLetters } from './dead-letters/program.ts'
import { directoryOriginals } from './originals/directory.ts'
import type { Originals } from './originals/originals.ts'
import type { Calibrator, ProgrammeFigures, ProjectionProgress } from './ports.ts'
import type { FileProfile } from './profile.ts'
import { ProfileBook } from './profile-book.ts'
import { type DefaultModel, ensureProgramme, type ProgrammeSettings, proposalContext } from './programme.ts'
import type { ReportWarning } from './report.ts'
import type { SourceConfig } from './sources/config.ts'
import { addSourceRoutes } from './sources/routes.ts'
import { Sources } from './sources/runner.ts'
import { ProfileStore } from './store/profiles.ts'
import { UndoStore } from './store/undos.ts'
import { UploadStore } from './store/uploads.ts'
import type { StreamWatchDeps } from './stream-watch.ts'
import { Ticker } from './ticker.ts'
import { openTills, type TillsDeps, tillStatuses } from './tills/app.ts'
import { GenerationFence } from './undo/fence.ts'
import { Generations } from './undo/generations.ts'
import { UploadWorker } from './worker.ts'

/** Everything the ingest program works with. The topics exist and the schema `ingest` is migrated. */
export interface IngestDeps {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  /** Database with the schema `ingest`; one of its connections is held for the worker lock. */
  readonly pool: Pool
  readonly projections: ProjectionProgress
  readonly calibrator: Calibrator
  readonly figures: ProgrammeFigures
  readonly settings: ProgrammeSettings
  /** Model that a new programme begins with; null where there is none. */
  readonly model: DefaultModel | null
  /**
   * `configure`: an empty control topic is configured at the start, by the given file profile if any. `wait`: by the
   * profile of the first upload.
   */
  readonly programme: { readonly when: 'configure'; readonly profile: FileProfile | null } | { readonly when: 'wait' }
  /** How the stream is asked while an upload waits for it; its `status` is null where nobody can be asked. */
  readonly stream: Omit<StreamWatchDeps, 'tell'>
  /** How often days are looked for between uploads; default 5 s. */
  readonly tickEveryMs?: number | undefined
  /** Sources of files that are looked through by a schedule. */
  readonly sources?: readonly SourceConfig[] | undefined
  /** How often files taken from them are looked after; default 2 s. */
  readonly settleSourcesMs?: number | undefined
  readonly dataDir: string
  /** Where uploaded files are kept; default: below `dataDir`. Closed with the program. */
  readonly originals?: Originals | undefined
  readonly profilesDir?: string | undefined
  /** Limits of the tills' door, where they are not the usual ones. */
  readonly tillLimits?: TillsDeps['limits']
  readonly port: number
  readonly bind: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly crash: IngestCrashHook
}

export interface RunningIngest {
  readonly port: number
  readonly url: string
  close(): Promise<void>
}

/** Serves uploads and works on them until `close`, which leaves a task under way to the next start. */
export async function startIngest(deps: IngestDeps): Promise<RunningIngest> {
  const { log, topics, registry, pool, logger, metrics, clock, dataDir } = deps
  const store = new UploadStore(pool)
  const undos = new UndoStore(pool)
  const generations = await Generations.open(dataDir)
  const fence = new GenerationFence(generations, undos)
  const originals = deps.originals ?? directoryOriginals(dataDir)
  await originals.tidy()
  await removeLeftovers(dataDir, store)
  // Where they are kept may be away; the next start looks again.
  await removeEndedClientFiles(originals, store).catch((error: unknown) =>
    logger.warn({ err: error }, 'files of clients whose uploads have ended could not be deleted'),
  )
  const control = await Control.open(log, topics, registry)
  const programme = {
    control,
    pool,
    clock,
    settings: deps.settings,
    model: deps.model,
    notice: (text: string) => logger.warn(text),
  }
  if (deps.programme.when === 'configure') await ensureProgramme(programme, deps.programme.profile)
  const { projections, calibrator, figures, crash } = deps
  const job = {
    log,
    topics,
    registry,
    control,
    store,
    undos,
    pool,
    generations,
    originals,
    projections,
    calibrator,
    figures,
    clock,
    metrics,
    dataDir,
    crash,
  }
  const warn = ({ code, message, details }: ReportWarning) => logger.warn({ code, details }, message)
  const ticker = new Ticker({ log, topics, registry, control, clock, pool, warn }, deps.tickEveryMs)
  const worker = new UploadWorker({ job, programme, ticker, stream: deps.stream, pool, logger })
  const profiles = new ProfileBook(new ProfileStore(pool), deps.profilesDir)
  const context = () => proposalContext(control, deps.settings)
  const intake = { store, dataDir, originals, profiles, context }
  const onTask = () => worker.wake()
  const app = createIngestApp({
    ...intake,
    undos,
    server: {
      logger,
      metrics,
      ready: () => readiness(pool, log, topics),
      statuses: { ...deadLetterStatuses, ...tillStatuses },
    },
    onTask,
  })
  const encoders = encodersOf(await registerAll(registry, topics, ['TransactionRecorded', 'ClientProfileChanged']))
  const tills = openTills({
    log,
    topics,
    control,
    fence,
    registry,
    encoders,
    profiles,
    metrics,
    logger,
    limits: deps.tillLimits,
  })
  tills.addRoutes(app)
  const deadLetters = openDeadLetters({ log, topics, registry, pool, control, fence, crash, logger, metrics })
  deadLetters.addRoutes(app)
  const sources = new Sources({
    sources: deps.sources ?? [],
    intake,
    pool,
    // Times of files are of this machine, whatever clock the programme follows.
    nowMs: () => Date.now(),
    logger,
    onTask,
    settleMs: deps.settleSourcesMs,
  })
  addSourceRoutes(app, sources)
  const server = await listen(app, { port: deps.port, bind: deps.bind })
  worker.start()
  deadLetters.start()
  return {
    port: server.port,
    url: server.url,
    close: async () => {
      await server.close()
      await tills.close()
      await deadLetters.stop()
      await sources.close()
      await worker.stop()
      await originals.close()
    },
  }
}

async function readiness(pool: Pool, log: Log, topics: Topics): Promise<ReadinessCheck[]> {
  return Promise.all([
    check('postgres', () => pool.query('select 1')),
    check('log', () => log.admin.endOffsets(topics.control)),
  ])
}

async function check(name: string, work: () => Promise<unknown>): Promise<ReadinessCheck> {
  try {
    await work()
    return { name, ok: true }
  } catch (error) {
    return { name, ok: false, message: messageOf(error) }
  }
}

/** What a killed program left of uploads that have ended: prepared files, and files of clients. */
async function removeLeftovers(dataDir: string, store: UploadStore): Promise<void> {
  const open = new Set(await store.openIds())
  for (const name of await namesIn(join(dataDir, 'spill')))
    if (!open.has(name)) await rm(join(dataDir, 'spill', name), { recursive: true, force: true })
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => [])
}
