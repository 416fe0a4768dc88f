import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRegistry, registerAll } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { startRegistry } from '#services/registry/program.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'

let server: RunningPostgres
const logs: Log[] = []

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(async () => {
  await Promise.all(logs.map((log) => log.close()))
  await server?.stop()
})

function openLog(): Log {
  const log = openPostgresLog({ url: server.url })
  logs.push(log)
  return log
}

test('two instances on the Postgres log give every program the same ids, also after a restart', async () => {
  const topics = topicsOf('two')
  const start = () => startRegistry({ log: openLog(), topic: topics.schemas, port: 0 })
  const [first, second] = [await start(), await start()]
  const programs = [first, second, first, second].map(({ url }) => openRegistry({ url, retries: 0 }))
  const ids = await Promise.all(programs.map((registry) => registerAll(registry, topics)))
  for (const each of ids) expect(each).toEqual(ids[0])
  expect(Object.values(ids[0]!).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  await Promise.all([first.close(), second.close()])
  const third = await start()
  expect(await registerAll(openRegistry({ url: third.url }), topics)).toEqual(ids[0])
  await third.close()
})
