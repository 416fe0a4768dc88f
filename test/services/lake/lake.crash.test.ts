import { Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { directoryStore } from '#services/lake/directory-store.ts'
import { verifyLake } from '#services/lake/verify.ts'
import { migratePostgres } from '#services/platform/migrate.ts'
import { eventually } from '../../support/eventually.ts'
import { ProgramProcess } from '../../support/loyalty/program-process.ts'
import { StreamWorld } from '../../support/loyalty/stream-world.ts'
import { traffic } from '../../support/loyalty/traffic.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { migrationsDirectory } from '../ingest/support/world.ts'
import { rowsOf, streamsOf } from './support/world.ts'

let postgres: RunningPostgres
let world: StreamWorld
let dir: TempDir
const programs: ProgramProcess[] = []

beforeAll(async () => {
  postgres = await startPostgres()
  world = await StreamWorld.open({ postgres: postgres.url })
  dir = await tempDir('loyalty-lake-')
  const pool = new Pool({ connectionString: postgres.url, max: 1 })
  await migratePostgres(pool, { schema: 'ingest', directory: migrationsDirectory })
  await pool.end()
})
afterAll(async () => {
  for (const program of programs) await program.kill()
  await world?.close()
  await postgres?.stop()
  await dir?.remove()
})

function start(seconds: number, crashAt?: { point: string; times: number }): ProgramProcess {
  const env = {
    ...world.env,
    LOYALTY_POSTGRES_URL: postgres.url,
    LOYALTY_DATA_DIR: dir.path,
    LOYALTY_LAKE: `${dir.path}/lake`,
    LOYALTY_LAKE_SECONDS: String(seconds),
    LOYALTY_SESSION_TIMEOUT_MS: '1000',
    LOYALTY_LOG_LEVEL: 'warn',
  }
  const program = new ProgramProcess('lake', { env, ...(crashAt === undefined ? {} : { crashAt }) })
  programs.push(program)
  return program
}

async function get(program: ProgramProcess, path: string): Promise<string> {
  return (await fetch(`http://127.0.0.1:${program.port}${path}`)).text()
}

interface Status {
  readonly streams: readonly { readonly topic: string; readonly partition: number; readonly position: number }[]
}

/** What a program has of the transactions; nothing before it serves. */
async function transactionsOf(program: ProgramProcess): Promise<Status['streams']> {
  if (program.port === 0) return []
  const { streams } = JSON.parse(await get(program, '/status')) as Status
  return streams.filter(({ topic }) => topic === world.topics.transactions)
}

const partitionsOf = async (program: ProgramProcess) =>
  (await transactionsOf(program)).map(({ partition }) => partition)

/** Waits until the program has everything that was published. */
async function caughtUp(program: ProgramProcess): Promise<void> {
  const ends = (await world.log.admin.endOffsets(world.topics.transactions)).reduce((sum, end) => sum + end, 0)
  const has = async () => (await transactionsOf(program)).reduce((sum, { position }) => sum + position, 0) === ends
  await eventually(has, { timeoutMs: 60_000, what: 'the archive of everything', everyMs: 50 })
}

test('killed in the middle, or stopped while another takes over, the archive has every record once; asked to end, it has the last ones', async () => {
  let published = 0
  const publish = async (round: number) => {
    const events = traffic(round)
    await world.publisher.transactions(events)
    published += events.length
  }
  const crashes = [
    { point: 'after-begun', times: 1 },
    { point: 'after-file', times: 2 },
    { point: 'after-entry', times: 1 },
    { point: 'after-file', times: 1 },
  ]
  for (const [round, crashAt] of crashes.entries()) {
    await publish(round + 1)
    expect(await start(1, crashAt).ended(), `killed ${crashAt.point}`).toBe('SIGKILL')
  }
  await publish(5)
  const steady = start(1)
  await caughtUp(steady)
  expect(await get(steady, '/readiness')).toContain('"ready"')
  const metrics = await get(steady, '/metrics')
  expect(metrics).toMatch(/loyalty_lake_files_total\{event_type="transaction",service="lake"\} \d/)
  const noLag = new RegExp(`loyalty_lag_records\\{[^}]*topic="${world.topics.transactions}",partition="1"[^}]*\\} 0\\n`)
  await eventually(async () => noLag.test(await get(steady, '/metrics')), { timeoutMs: 10_000, what: 'a lag of 0' })
  expect(await steady.stop()).toBe('0')

  // Two share the partitions; what waits at the end is archived by whose it is.
  const both = [start(3_600), start(3_600)]
  const shares = async () => Promise.all(both.map(partitionsOf))
  await eventually(async () => (await shares()).map((owned) => owned.length).join() === '1,1', { timeoutMs: 30_000 })
  expect((await shares()).flat().sort()).toEqual([0, 1])
  await publish(6)
  for (const program of both) expect(await program.stop(), program.output).toBe('0')

  // One is stopped for longer than its partitions stay its own, and goes on while the other has them.
  const [stopped, other] = [start(1), start(1)] as const
  const owned = () => Promise.all([stopped, other].map(partitionsOf))
  await eventually(async () => (await owned()).map(({ length }) => length).join() === '1,1', { timeoutMs: 30_000 })
  await publish(7)
  stopped.signal('SIGSTOP')
  await publish(8)
  await eventually(async () => (await partitionsOf(other)).length === 2, { timeoutMs: 30_000, what: 'the other one' })
  await caughtUp(other)
  stopped.signal('SIGCONT')
  await eventually(async () => (await owned()).map(({ length }) => length).join() === '1,1', { timeoutMs: 30_000 })
  await publish(9)
  for (const program of [stopped, other]) expect(await program.stop(), program.output).toBe('0')

  const store = directoryStore(`${dir.path}/lake`)
  expect(await verifyLake(store, () => {})).toMatchObject({
    faults: [],
    unaccounted: { ranges: [], files: [] },
    lost: 0,
    rows: { transaction: published, control: 2, rejected_row: 0 },
  })
  for (const stream of streamsOf(2, world.topics).filter(({ eventType }) => eventType === 'transaction')) {
    const end = (await world.log.admin.endOffsets(stream.topic))[stream.partition]!
    const offsets = (await rowsOf(store, stream, ['offset'])).map(({ offset }) => Number(offset))
    expect(offsets).toEqual(Array.from({ length: end }, (_, offset) => offset))
  }
  const group = `${world.topics.transactions.split('.')[0]}-lake`
  const told = await world.log.admin.groupOffsets(group, world.topics.transactions)
  expect([...told.keys()].sort()).toEqual([0, 1])
}, 200_000)
