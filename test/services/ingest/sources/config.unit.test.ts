import { describe, expect, test } from 'vitest'
import { parseSources, patternOf } from '#services/ingest/sources/config.ts'

const folder = {
  name: 'nightly',
  kind: 'folder',
  path: 'inbox',
  schedule: '*/5 * * * *',
  files: [{ pattern: '*.csv' }],
}
const s3 = {
  name: 'bucket',
  kind: 's3',
  endpoint: 'http://127.0.0.1:9000/in',
  access_key_id: 'env:KEY',
  secret_access_key: 'plain',
  schedule: '0 3 * * *',
  files: [{ pattern: '*' }],
}
const variables: Record<string, string> = { KEY: 'from-env' }
const parse = (value: unknown) => parseSources(JSON.stringify(value), (name) => variables[name])

describe('a file of sources', () => {
  test('has defaults, and secrets from the environment', () => {
    expect(parse([folder, s3])).toMatchObject([
      { name: 'nightly', time_zone: 'UTC', complete: { quiet_seconds: 60 } },
      { name: 'bucket', access_key_id: 'from-env', secret_access_key: 'plain', prefix: '' },
    ])
  })

  test.each<[string, unknown, RegExp]>([
    ['no list', {}, /./],
    ['a kind of its own', [{ ...folder, kind: 'ftp' }], /kind/],
    ['no schedule', [{ ...folder, schedule: 'every day' }], /0\.schedule: must be a cron expression/],
    ['no zone', [{ ...folder, time_zone: 'Mars/Olympus' }], /IANA/],
    ['no pattern', [{ ...folder, files: [] }], /0\.files/],
    ['a field nobody knows', [{ ...folder, color: 1 }], /color/],
    ['one name twice', [folder, folder], /two sources have one name/],
    ['a secret that is not there', [{ ...s3, access_key_id: 'env:GONE' }], /no variable GONE/],
  ])('with %s is refused', (_, value, message) => {
    expect(() => parse(value)).toThrow(
      expect.objectContaining({ code: 'sources_invalid', message: expect.stringMatching(message) }),
    )
  })

  test('that is no JSON is refused', () => {
    expect(() => parseSources('[', () => undefined)).toThrow(expect.objectContaining({ code: 'sources_invalid' }))
  })
})

test('the first pattern that a name fits counts, and a star stays within a folder', () => {
  const patterns = [
    { pattern: 'sales-????.csv', profile: 'a' },
    { pattern: '*.csv.gz', profile: 'b' },
    { pattern: '*(1).csv' },
  ]
  expect(patternOf(patterns, 'sales-2026.csv')?.profile).toBe('a')
  expect(patternOf(patterns, 'sales-26.csv')).toBeNull()
  expect(patternOf(patterns, 'x.csv.gz')?.profile).toBe('b')
  expect(patternOf(patterns, 'processed/x.csv.gz')).toBeNull()
  expect(patternOf(patterns, 'copy (1).csv')).not.toBeNull()
  expect(patternOf(patterns, 'xcsv.gz')).toBeNull()
})
