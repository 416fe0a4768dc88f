import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '#services/cli/cli.ts'
import { streamOutput, tableOf } from '#services/cli/output.ts'
import { inOrder, reportLines } from '#services/cli/report.ts'
import { createLogger } from '#services/platform/logging.ts'
import { cliWiring } from '#services/wiring/cli.ts'

let scratch: string

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'loyalty-cli-'))
})

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Runs a command line inside this process. */
async function run(args: readonly string[], env: Record<string, string> = {}) {
  const written = { out: '', err: '' }
  const stream = (name: 'out' | 'err') =>
    ({
      write(text: string, done?: () => void) {
        written[name] += text
        done?.()
        return true
      },
    }) as NodeJS.WritableStream
  const output = streamOutput(stream('out'), stream('err'))
  const wiring = cliWiring(createLogger('cli', 'silent'), output.note)
  const code = await runCli(args, { env, wiring, output, interrupted: new AbortController().signal })
  return { code, ...written }
}

/** Every verb, in words. */
const verbs = [
  ...['start', 'demo', 'ingest', 'day', 'segments', 'generate', 'rebuild', 'migrate', 'topics', 'check-config'],
  ...['cut-points show', 'cut-points calibrate', 'cut-points publish', 'client show', 'clients export', 'dlq list'],
  'features export',
]

describe('the command line', () => {
  it.each(verbs)('explains %s with its options and examples', async (verb) => {
    const { code, out } = await run([...verb.split(' '), '--help'])
    expect(code).toBe(0)
    expect(out).toContain('--json')
    expect(out).toMatch(/Examples:\n {2}\S/)
  })

  it('lists every verb', async () => {
    const { out } = await run(['--help'])
    for (const verb of verbs) expect(out).toMatch(new RegExp(`^ {2}${verb.split(' ')[0]}\\b`, 'm'))
  })

  it.each([
    [['nonsense']],
    [['start', '--nonsense']],
    [['ingest']],
    [['cut-points', 'publish', '--r', '30,x', '--f', '1', '--m', '1']],
    [['clients', 'export', '--format', 'xml']],
  ])('ends with 2 when it is called wrongly: %j', async (args) => {
    const { code, out, err } = await run(args)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain('error:')
  })

  it('reports every fault of the configuration, with --json as the last line', async () => {
    const { code, out, err } = await run(['check-config', '--json'], { LOYALTY_LOG: 'tape', LOYALTY_PARTITIONS: '0' })
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
    const { code, out, err } = await run(['check-config'], {
      LOYALTY_POSTGRES_URL: 'postgres://me:hush@db/loyalty',
      LOYALTY_CLICKHOUSE_PASSWORD: 'hush',
      LOYALTY_CURENCY: 'GBP',
    })
    expect(code).toBe(0)
    expect(out).toContain('postgres://me:***@db/loyalty')
    expect(out + err).not.toContain('hush')
    expect(err).toContain('LOYALTY_CURENCY')
  })

  it('says what is missing where there is no platform and no data', async () => {
    const empty = join(scratch, 'empty')
    const { code, out } = await run(['segments', '--json', '--data-dir', empty])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'data_directory_missing', details: { dataDir: empty } } })
  })

  it('writes generated traffic to a file without any engine', async () => {
    const file = join(scratch, 'traffic.csv')
    const { code, out } = await run(['generate', '--events', '500', '--clients', '20', '--out', file, '--json'])
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
    const warned = inOrder({ ...report, warnings: [{ code: 'day_ahead_of_data', message: 'the day is', details: {} }] })
    expect(Object.keys(warned).at(-1)).toBe('warnings')
    expect(reportLines(warned)).toContain('  look at       the day is (day_ahead_of_data)')
  })
})
