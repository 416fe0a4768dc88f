import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { envExample, ignoredSettings, readConfig, toEnvironment, unknownVariables } from '#services/platform/config.ts'
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

  it('asks for what a bucket of uploads needs, and takes no place that is neither', () => {
    const faultsOf = (env: Record<string, string>) => {
      try {
        readConfig(env)
        return []
      } catch (error) {
        const { faults } = (error as LoyaltyError).details as { faults: { variable: string }[] }
        return faults.map(({ variable }) => variable)
      }
    }
    expect(readConfig({}).uploadStore).toBe('directory')
    const bucket = { LOYALTY_UPLOAD_STORE: 's3://files/shop', LOYALTY_UPLOAD_S3_ACCESS_KEY_ID: 'k' }
    expect(faultsOf(bucket)).toEqual(['LOYALTY_UPLOAD_S3_ENDPOINT', 'LOYALTY_UPLOAD_S3_SECRET_ACCESS_KEY'])
    const rest = { LOYALTY_UPLOAD_S3_ENDPOINT: 'http://127.0.0.1:9000', LOYALTY_UPLOAD_S3_SECRET_ACCESS_KEY: 's' }
    expect(faultsOf({ ...bucket, ...rest })).toEqual([])
    for (const place of ['s3://', 's3:files', '/var/uploads', 's3://Files/x', `s3://files/${'x'.repeat(200)}`])
      expect(faultsOf({ ...rest, LOYALTY_UPLOAD_STORE: place }), place).toContain('LOYALTY_UPLOAD_STORE')
  })

  it('asks for the keys of a lake in a bucket, and knows what is no lake', () => {
    const faultsOf = (env: Record<string, string>) => {
      try {
        readConfig(env)
        return []
      } catch (error) {
        return ((error as LoyaltyError).details.faults as { variable: string }[]).map(({ variable }) => variable)
      }
    }
    expect(faultsOf({ LOYALTY_LAKE: './lake' })).toEqual([])
    expect(faultsOf({ LOYALTY_LAKE: 's3://bucket/raw', LOYALTY_LAKE_S3_ACCESS_KEY_ID: 'key' })).toEqual([
      'LOYALTY_LAKE_S3_ENDPOINT',
      'LOYALTY_LAKE_S3_SECRET_ACCESS_KEY',
    ])
    expect(faultsOf({ LOYALTY_LAKE: 'https://bucket' })).toEqual(['LOYALTY_LAKE'])
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
    const env = { LOYALTY_CURENCY: 'GBP', LOYALTY_API_PRT: '1', LOYALTY_PRATITIONS: '4', LOYALTY_WEATHER: 'fine' }
    expect(unknownVariables({ ...env, LOYALTY_LOG: 'kafka', LOYALTY_INSTALL: 'skip', PATH: '/bin' })).toEqual([
      { variable: 'LOYALTY_CURENCY', nearest: 'LOYALTY_CURRENCY' },
      { variable: 'LOYALTY_API_PRT', nearest: 'LOYALTY_API_PORT' },
      { variable: 'LOYALTY_PRATITIONS', nearest: 'LOYALTY_PARTITIONS' },
      { variable: 'LOYALTY_WEATHER', nearest: null },
    ])
  })

  it('names the settings that were made by hand and that a programme was begun without', () => {
    const begun = { currency: 'GBP', timeZone: 'Europe/London', clock: 'events', monetaryBasis: 'gross' } as const
    const programme = { ...begun, partitions: 8, ledgerCap: 100 }
    const ignored = (env: Record<string, string>) => ignoredSettings(env, readConfig(env), programme)
    expect(ignored({})).toEqual([])
    expect(ignored({ LOYALTY_CURRENCY: 'GBP', LOYALTY_CLOCK: '' })).toEqual([])
    expect(ignored({ LOYALTY_CURRENCY: 'EUR', LOYALTY_MONETARY_BASIS: 'net' })).toEqual([
      'LOYALTY_CURRENCY=EUR is ignored: the programme was begun with GBP',
      'LOYALTY_MONETARY_BASIS=net is ignored: the programme was begun with gross',
    ])
  })

  it('has a current .env.example', () => {
    expect(readFileSync('.env.example', 'utf8')).toBe(envExample())
  })
})
