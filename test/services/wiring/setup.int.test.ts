import { afterAll, beforeAll, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { readConfig } from '#services/platform/config.ts'
import { createLogger } from '#services/platform/logging.ts'
import { type RunningRegistry, startRegistry } from '#services/registry/program.ts'
import { platformSetup } from '#services/wiring/setup.ts'
import type { Log } from '#streams/log/log.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'

let postgres: RunningPostgres
let log: Log
let registry: RunningRegistry

beforeAll(async () => {
  postgres = await startPostgres({ fsync: 'off' })
  log = openPostgresLog({ url: postgres.url })
  registry = await startRegistry({ log, topic: topicsOf('loyalty').schemas, port: 0 })
})
afterAll(async () => {
  await registry.close()
  await log.close()
  await postgres.stop()
})

/** What a start with these settings, by hand, says about the programme. */
async function notices(settings: Record<string, string>): Promise<string[]> {
  const env = { ...settings, LOYALTY_POSTGRES_URL: postgres.url, LOYALTY_REGISTRY_URL: registry.url }
  const said: string[] = []
  const setup = platformSetup(createLogger('test', 'silent'), (text) => said.push(text))
  const config = readConfig(env)
  await setup.storage(config)
  await setup.programme(config, env)
  return said
}

test('a start says which of its settings the programme was begun without', async () => {
  const begun = { LOYALTY_CURRENCY: 'GBP', LOYALTY_TIME_ZONE: 'Europe/London', LOYALTY_CLOCK: 'events' }
  expect(await notices(begun)).toEqual([])
  expect(await notices({})).toEqual([])
  expect(await notices(begun)).toEqual([])
  const others = { LOYALTY_CURRENCY: 'EUR', LOYALTY_TIME_ZONE: 'Europe/Berlin', LOYALTY_CLOCK: 'system' }
  expect(await notices({ ...others, LOYALTY_MONETARY_BASIS: 'gross', LOYALTY_LEDGER_CAP: '100' })).toEqual([
    'LOYALTY_CURRENCY=EUR is ignored: the programme was begun with GBP',
    'LOYALTY_TIME_ZONE=Europe/Berlin is ignored: the programme was begun with Europe/London',
    'LOYALTY_CLOCK=system is ignored: the programme was begun with events',
    'LOYALTY_MONETARY_BASIS=gross is ignored: the programme was begun with net',
    'LOYALTY_LEDGER_CAP=100 is ignored: the programme was begun with 4096',
  ])
})
