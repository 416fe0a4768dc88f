import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tableOf } from '#services/cli/output.ts'
import { inOrder, reportLines } from '#services/cli/report.ts'
import { runHere } from './support/run-here.ts'

let scratch: string

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'loyalty-cli-'))
})

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Every verb, in words. */
const verbs = [
  ...['start', 'demo', 'ingest', 'day', 'segments', 'generate', 'rebuild', 'migrate', 'topics', 'check-config'],
  ...['cut-points show', 'cut-points calibrate', 'cut-points publish', 'client show', 'clients export'],
  ...['dlq list', 'dlq show', 'dlq fix', 'dlq replay', 'dlq discard', 'dlq actions'],
  ...['features export', 'profiles list', 'profiles show', 'profiles save', 'profiles delete'],
]

describe('the command line', () => {
  it.each(verbs)('explains %s with its options and examples', async (verb) => {
    const { code, out } = await runHere([...verb.split(' '), '--help'])
    expect(code).toBe(0)
    expect(out).toContain('--json')
    expect(out).toMatch(/Examples:\n {2}\S/)
  })

  it('lists every verb', async () => {
    const { out } = await runHere(['--help'])
    for (const verb of verbs) expect(out).toMatch(new RegExp(`^ {2}${verb.split(' ')[0]}\\b`, 'm'))
  })

  it.each([
    [['nonsense']],
    [['start', '--nonsense']],
    [['ingest']],
    [['cut-points', 'publish', '--r', '30,x', '--f', '1', '--m', '1']],
    [['clients', 'export', '--format', 'xml']],
  ])('ends with 2 when it is called wrongly: %j', async (args) => {
    const { code, out, err } = await runHere(args)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain('error:')
  })

  const given = (...args: string[]) => args
  const events = ['generate', '--to', '/nowhere/traffic.csv', '--events']
  const meaningless = [
    ...['x', '0', '-1', '1.5', '', '1e3', '99999999999999999999'].map((limit) =>
      given('dlq', 'list', '--limit', limit),
    ),
    ...['x', '0', '1.5'].map((count) => given(...events, count)),
    given(...events, '5', '--clients', '0'),
    given(...events, '5', '--seed', '-1'),
    ...['0', 'fast', '-5'].map((rate) => given(...events, '5', '--rate', rate)),
    ...['-1', '91%', '1', 'few'].map((share) => given(...events, '5', '--refunds', share)),
    ...['traffic.txt', 'ftp://x', 'http://', ''].map((to) => given('generate', '--to', to)),
    given(...events, '5', '--from', '2024-02-30'),
    given(...events, '5', '--currency', 'rubles'),
    given(...events, '5', '--batch', '1001'),
    ...['2011-13-01', '2011-02-30', '2011-06-11,', 'tomorrow', ''].map((date) =>
      given('features', 'export', '--as-of', date),
    ),
    ...['x', '0', '-90', '0.5'].map((days) => given('features', 'export', '--as-of', '2011-06-11', '--horizon', days)),
    ...['30,,90', '30.5', ''].map((cuts) => given('cut-points', 'publish', '--r', cuts, '--f', '1', '--m', '1')),
  ]
  it.each(meaningless.map((args) => [args]))(
    'takes no value that means nothing, and says so before anything is done: %j',
    async (args) => {
      const { code, lastJson, err } = await runHere([...args, '--json', '--data-dir', join(scratch, 'empty')])
      expect(code).toBe(2)
      expect(lastJson).toMatchObject({ error: { code: 'option_invalid' } })
      expect(err).toMatch(/error: --\S+ takes .* not '/)
    },
  )

  it.each([
    ['day_refused', given('day', '2011-13-01')],
    ['cut_points_invalid', given('cut-points', 'publish', '--r', '90,30', '--f', '1', '--m', '1')],
    ['export_options', given('features', 'export', '--as-of', '2011-06-11', '--out', '/nowhere/features.csv')],
  ])('knows a wrong call before it looks for a platform: %s', async (code, args) => {
    const run = await runHere([...args, '--json', '--data-dir', join(scratch, 'empty')])
    expect(run).toMatchObject({ code: 2, lastJson: { error: { code } } })
  })

  it('reports every fault of the configuration, with --json as the last line', async () => {
    const { code, out, err } = await runHere(['check-config', '--json'], {
      LOYALTY_LOG: 'tape',
      LOYALTY_PARTITIONS: '0',
    })
    expect(code).toBe(1)
    expect(err).toContain('LOYALTY_LOG')
    const { error } = JSON.parse(out.trimEnd().split('\n').at(-1)!)
    expect(error.code).toBe('config_invalid')
    expect(error.details.faults.map(({ variable }: { variable: string }) => variable).sort()).toEqual([
      'LOYALTY_LOG',
      'LOYALTY_PARTITIONS',
    ])
  })

  it('shows the settings without passwords, and warns of variables that it does not know', async () => {
    const { code, out, err } = await runHere(['check-config'], {
      LOYALTY_POSTGRES_URL: 'postgres://me:hush@db/loyalty',
      LOYALTY_CLICKHOUSE_PASSWORD: 'hush',
      LOYALTY_API_PRT: '8000',
    })
    expect(code).toBe(0)
    expect(out).toContain('postgres://me:***@db/loyalty')
    expect(out + err).not.toContain('hush')
    expect(err).toMatch(/LOYALTY_API_PRT .* LOYALTY_API_PORT/)
  })

  it('warns of variables that it does not know also when it starts', async () => {
    const dataDir = join(scratch, 'of-kafka')
    mkdirSync(dataDir)
    // So that the start ends before it starts anything.
    writeFileSync(join(dataDir, 'log.json'), '{"LOYALTY_LOG": "kafka"}')
    const { code, err } = await runHere(['start', '--data-dir', dataDir], { LOYALTY_API_PRT: '8000' })
    expect(code).toBe(1)
    expect(err).toContain('data_directory_mismatch')
    expect(err).toMatch(/warning: LOYALTY_API_PRT .* LOYALTY_API_PORT/)
  })

  it('says what is missing where there is no platform and no data', async () => {
    const empty = join(scratch, 'empty')
    const { code, out } = await runHere(['segments', '--json', '--data-dir', empty])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'data_directory_missing', details: { dataDir: empty } } })
  })

  it.each([
    [['generate', '--to', 'http']],
    [['rebuild', 'postgres-state']],
    [['day', '2026-01-01', '--wait']],
    [['dlq', 'replay', '--all', '--wait']],
  ])('begins no platform with %j', async (args) => {
    const typo = join(scratch, 'typo')
    const { code, out } = await runHere([...args, '--json', '--data-dir', typo])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'data_directory_missing', details: { dataDir: typo } } })
    expect(existsSync(typo)).toBe(false)
  })

  it('writes generated traffic to a file without any engine', async () => {
    const file = join(scratch, 'traffic.csv')
    const { code, out } = await runHere(['generate', '--events', '500', '--clients', '20', '--to', file, '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ events: 500 })
  })
})

describe('a table', () => {
  it('puts numbers at the right and texts at the left', () => {
    const columns = [
      { title: 'name', value: (row: { name: string; n: number }) => row.name },
      { title: 'n', value: (row: { name: string; n: number }) => row.n },
    ]
    const rows = [
      { name: 'a', n: 5 },
      { name: 'bcdef', n: 1200 },
    ]
    expect(tableOf(columns, rows)).toEqual(['name      n', '─────  ────', 'a         5', 'bcdef  1200'])
  })
})

describe('a report', () => {
  it('names every segment and keeps the documented order', () => {
    const counts = {
      accepted: 1,
      sales: 1,
      refunds: 0,
      voids: 0,
      duplicates: 0,
      dead_letters: 0,
      clients: 1,
      buyers: 1,
    }
    const report = inOrder({
      seconds: { total: 1 },
      segments: { champions: 1 },
      cut_points: null,
      as_of: null,
      currency: 'GBP',
      gross_minor: 5,
      refunded_minor: 0,
      rejected: {},
      rows: { accepted: 1, rejected: 0 },
      lines: 1,
      ...counts,
    })
    expect(Object.keys(report).slice(0, 4)).toEqual(['lines', 'rows', 'accepted', 'sales'])
    expect(report.segments).toEqual({ champions: 1, loyal: 0, at_risk: 0, new: 0, sleeping: 0 })
    expect(report).not.toHaveProperty('warnings')
    expect(report).not.toHaveProperty('input')
    const input = { container: 'zip', encoding: 'windows-1251', encoding_by: 'bytes', delimiter: '\t' } as const
    expect(inOrder({ ...report, input }).input).toEqual(input)
    expect(reportLines({ ...report, input })[0]).toBe('  read as       windows-1251 in zip, columns divided by "\\t"')
    const warned = inOrder({ ...report, warnings: [{ code: 'day_ahead_of_data', message: 'the day is', details: {} }] })
    expect(Object.keys(warned).at(-1)).toBe('warnings')
    expect(reportLines(warned)).toContain('  look at       the day is (day_ahead_of_data)')
  })
})
