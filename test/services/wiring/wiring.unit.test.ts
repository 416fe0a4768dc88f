import { describe, expect, it } from 'vitest'
import { readConfig } from '#services/platform/config.ts'
import { createLogger } from '#services/platform/logging.ts'
import { crashHook } from '#services/wiring/crash.ts'
import { openLog } from '#services/wiring/log.ts'
import { defaultModel, openClassifiers } from '#services/wiring/models.ts'
import { openClickHouse, openPostgres, openRegistry } from '#services/wiring/stores.ts'
import { featureNames } from '#streams/domain/features.ts'

const logger = createLogger('test', 'silent')

describe('the wiring', () => {
  it('names the setting that a program started by itself lacks', () => {
    const config = readConfig({})
    const opens: [string, () => unknown][] = [
      ['LOYALTY_POSTGRES_URL', () => openPostgres(config, logger)],
      ['LOYALTY_POSTGRES_URL', () => openLog(config, { clientId: 'test', logger })],
      ['LOYALTY_CLICKHOUSE_URL', () => openClickHouse(config)],
      ['LOYALTY_REGISTRY_URL', () => openRegistry(config)],
    ]
    for (const [variable, open] of opens)
      expect(open, variable).toThrow(expect.objectContaining({ code: 'config_missing', details: { variable } }))
  })

  it('opens the log that the configuration names', async () => {
    const settings = { LOYALTY_POSTGRES_URL: 'postgres://a@127.0.0.1/b', LOYALTY_KAFKA_BROKERS: '127.0.0.1:1' }
    const names = ['postgres', 'kafka'].map((name) => {
      const log = openLog(readConfig({ ...settings, LOYALTY_LOG: name }), { clientId: 'test', logger })
      return log.constructor.name
    })
    expect(new Set(names).size).toBe(2)
  })

  it('begins a programme with a model that is there, and that its gate accepts', async () => {
    const config = readConfig({})
    const card = await defaultModel(config)
    expect(card).not.toBeNull()
    const classifier = await openClassifiers(config).load(card!)
    try {
      for (const feature of classifier.features) expect(featureNames).toContain(feature)
    } finally {
      await classifier.close()
    }
  })
})

describe('a crash point', () => {
  it('is refused outside tests', () => {
    expect(() => crashHook({ CRASH_AT: 'after-fold' }, ['after-fold'])).toThrow(/NODE_ENV=test/)
  })

  it('is none where the variable is absent or names a point of another program', () => {
    expect(crashHook({ NODE_ENV: 'test' }, ['after-fold'])).toBeNull()
    expect(crashHook({ NODE_ENV: 'test', CRASH_AT: 'after-rows' }, ['after-fold'])).toBeNull()
    expect(crashHook({ NODE_ENV: 'test', CRASH_AT: 'after-fold:2' }, ['after-fold'])).toBeTypeOf('function')
  })
})
