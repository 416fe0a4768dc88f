import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { type Topics, topicsOf } from '#schemas/topics.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { MemoryLog } from '../../../support/memory-log.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { type RunningPostgres, startPostgres } from '../../../support/postgres.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import type { ChildOptions } from './ingest-child.ts'
import { newDatabase, openIngest, prepareTopics, startStream, testNowMs } from './world.ts'

/** What the tests of a file stand on. What they open on it is closed for them, the newest first. */
abstract class Stage {
  readonly topics: Topics
  registry = new MemoryRegistry()
  abstract readonly log: Log
  abstract readonly postgresUrl: string
  abstract readonly path: string
  readonly #closers: (() => Promise<unknown>)[] = []

  constructor(topics: Topics) {
    this.topics = topics
  }

  closeLater(close: () => Promise<unknown>): void {
    this.#closers.push(close)
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close()
  }

  async ingest(changes: Parameters<typeof openIngest>[0]['changes'] = {}, dataDir = this.path) {
    const { log, registry, topics, postgresUrl } = this
    const ingest = await openIngest({ log, registry, topics, postgresUrl, dataDir, changes })
    let open = true
    const close = async () => {
      if (open) await ingest.close()
      open = false
    }
    this.closeLater(close)
    return { ...ingest, close }
  }

  async stream() {
    const worker = await startStream(this.log, this.registry, this.topics)
    this.closeLater(() => worker.close())
  }
}

/** For each test a log and a registry in memory, a directory, and a database of the server of the file. */
export class MemoryStage extends Stage {
  log = new MemoryLog()
  postgresUrl = ''
  path = ''

  /** To be called once in a file. `name`: of its directories. */
  static ofFile(name: string): MemoryStage {
    const stage = new MemoryStage(topicsOf('loyalty'))
    let postgres: RunningPostgres
    let dir: TempDir
    beforeAll(async () => {
      postgres = await startPostgres()
    })
    afterAll(() => postgres?.stop())
    beforeEach(async () => {
      dir = await tempDir(`loyalty-${name}-`)
      stage.path = dir.path
      stage.log = new MemoryLog({ nowMs: () => testNowMs })
      stage.registry = new MemoryRegistry()
      stage.postgresUrl = await newDatabase(postgres.url)
      await prepareTopics(stage.log, stage.registry, stage.topics, 2)
    })
    afterEach(async () => {
      await stage.close()
      await dir.remove()
    })
    return stage
  }
}

export interface IngestProcess {
  readonly process: ChildProcess
  readonly url: string
}

/** A server of PostgreSQL, a directory and a log that all tests of a file share. */
export class SharedStage extends Stage {
  postgresUrl = ''
  path = ''
  #log: Log | null = null

  /** To be called once in a file. `open`: the log, where it is not the one in PostgreSQL. */
  static ofFile(name: string, topics = topicsOf('loyalty'), open?: () => Promise<Log>): SharedStage {
    const stage = new SharedStage(topics)
    beforeAll(async () => {
      const postgres = await startPostgres()
      stage.closeLater(() => postgres.stop())
      stage.postgresUrl = postgres.url
      const dir = await tempDir(`loyalty-${name}-`)
      stage.closeLater(() => dir.remove())
      stage.path = dir.path
      const log = open === undefined ? openPostgresLog({ url: postgres.url }) : await open()
      stage.closeLater(() => log.close())
      stage.#log = log
      await prepareTopics(log, stage.registry, topics, 2)
    })
    afterAll(() => stage.close())
    return stage
  }

  get log(): Log {
    if (this.#log === null) throw new Error('the log is open from beforeAll on')
    return this.#log
  }

  /** An ingest program as a process of its own, which configures a programme in pounds and may kill itself. */
  process(crashAt: string | null = null): Promise<IngestProcess> {
    const { postgresUrl, path: dataDir } = this
    return startIngestProcess(this, { postgresUrl, dataDir, prefix: 'loyalty', crashAt, currency: 'GBP' })
  }
}

/** Resolves when it serves. */
export async function startIngestProcess(
  stage: { closeLater(close: () => Promise<unknown>): void },
  options: ChildOptions,
): Promise<IngestProcess> {
  const script = join(import.meta.dirname, 'ingest-child.ts')
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] })
  stage.closeLater(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const [url] = (await once(createInterface(child.stdout!), 'line')) as [string]
  return { process: child, url }
}
