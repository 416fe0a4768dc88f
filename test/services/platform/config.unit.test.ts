import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { envExample, readConfig, toEnvironment, unknownVariables } from '#services/platform/config.ts'
import { LoyaltyError } from '#streams/core/error.ts'

describe('configuration', () => {
  it('has a default for everything that has no better source', () => {
    expect(readConfig({})).toMatchObject({
      log: 'postgres',
      partitions: 8,
      topicPrefix: 'loyalty',
      monetaryBasis: 'net',
      ledgerCap: 4096,
      dataDir: './.data',
      bind: '127.0.0.1',
      currency: undefined,
      timeZone: undefined,
    })
  })

  it('reads numbers, lists and empty variables', () => {
    const env = {
      LOYALTY_LOG: 'kafka',
      LOYALTY_KAFKA_BROKERS: 'a:1,b:2',
      LOYALTY_PARTITIONS: '4',
      LOYALTY_CURRENCY: '',
    }
    expect(readConfig(env)).toMatchObject({ kafkaBrokers: ['a:1', 'b:2'], partitions: 4, currency: undefined })
  })

  it('reports every fault at once, by the name of its variable', () => {
    const env = {
      LOYALTY_CURRENCY: 'ROUBLE',
      LOYALTY_TIME_ZONE: 'Moscow',
      LOYALTY_PARTITIONS: 'many',
      LOYALTY_LOG: 'kafka',
      LOYALTY_POSTGRES_URL: 'mysql://x',
    }
    let caught: unknown
    try {
      readConfig(env)
    } catch (error) {
      caught = error
    }
    expect(caught).toBeInstanceOf(LoyaltyError)
    const error = caught as LoyaltyError
    expect(error.code).toBe('config_invalid')
    const names = (error.details.faults as { variable: string }[]).map(({ variable }) => variable)
    expect(names.sort()).toEqual([
      'LOYALTY_CURRENCY',
      'LOYALTY_KAFKA_BROKERS',
      'LOYALTY_PARTITIONS',
      'LOYALTY_POSTGRES_URL',
      'LOYALTY_TIME_ZONE',
    ])
    for (const name of names) expect(error.message).toContain(name)
  })

  it('goes through an environment and back unchanged', () => {
    const config = readConfig({
      LOYALTY_LOG: 'kafka',
      LOYALTY_KAFKA_BROKERS: 'a:1,b:2',
      LOYALTY_CURRENCY: 'GBP',
      LOYALTY_API_PORT: '0',
    })
    expect(readConfig(toEnvironment(config))).toEqual(config)
  })

  it('names variables that look like ours and are not', () => {
    expect(unknownVariables({ LOYALTY_CURENCY: 'GBP', LOYALTY_LOG: 'kafka', PATH: '/bin' })).toEqual([
      'LOYALTY_CURENCY',
    ])
  })

  it('has a current .env.example', () => {
    expect(readFileSync('.env.example', 'utf8')).toBe(envExample())
  })
})
