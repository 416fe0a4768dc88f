import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { samplePath, writeRussianSample, writeWorkbookSample } from '../ingest/support/sample-forms.ts'
import { type CliRun, lastJson, runLoyalty, startPlatform, stopPlatform } from './support/run-cli.ts'

/** Figures of the retail sample that were computed independently of this product. */
const figures = {
  lines: 541_909,
  accepted: 22_186,
  sales: 18_532,
  refunds: 3_654,
  duplicates: 0,
  dead_letters: 0,
  rejected: { missing_client: 135_080, zero_amount: 4 },
  clients: 4_371,
  buyers: 4_338,
  gross_minor: 891_140_790,
  refunded_minor: 61_134_209,
  as_of: '2011-12-09',
  cut_points: {
    recency_days: [12, 32, 71, 179],
    frequency: [1, 2, 3, 6],
    monetary_minor: [24_322, 47_528, 91_493, 201_891],
    basis: 'net',
  },
}

interface Report {
  readonly lines: number
  readonly rows: { readonly accepted: number; readonly rejected: number }
  readonly accepted: number
  readonly duplicates: number
  readonly buyers: number
  readonly segments: Readonly<Record<string, number>>
  readonly seconds: Readonly<Record<string, number>>
}

interface Upload {
  readonly batch_id: string
}

interface List {
  readonly uploads: readonly Upload[]
}

const minutes = 60_000

describe('the demo on a fresh data directory', () => {
  let data: TempDir
  let first: CliRun
  let exported: string[]

  beforeAll(async () => {
    data = await tempDir('loyalty-demo-')
    first = await runLoyalty(['demo', '--exit', '--json', '--data-dir', data.path])
    exported = await exportedNow()
  }, 3 * minutes)

  afterAll(() => data.remove())

  const exportedNow = async () =>
    (await runLoyalty(['clients', 'export', '--data-dir', data.path])).stdout.trimEnd().split('\n')

  const clientLine = (clientId: string) => {
    const [header, ...lines] = exported
    const line = lines.find((candidate) => candidate.startsWith(`${clientId},`)) ?? ''
    const values = line.split(',')
    return Object.fromEntries(header!.split(',').map((name, index) => [name, values[index]]))
  }

  it('reports exactly what the file holds', () => {
    expect(first.stderr).not.toContain('error')
    expect(first.code).toBe(0)
    const report = lastJson<Report>(first)
    expect(report).toMatchObject(figures)
    expect(report.rows.accepted + report.rows.rejected).toBe(report.lines)
  })

  it('puts every buyer into one of the five segments', () => {
    const { segments, buyers } = lastJson<Report>(first)
    expect(Object.keys(segments)).toEqual(['champions', 'loyal', 'at_risk', 'new', 'sleeping'])
    expect(Object.values(segments).reduce((sum, count) => sum + count, 0)).toBe(buyers)
  })

  it('exports every client, with the values of the ones that were computed by hand', () => {
    expect(exported).toHaveLength(1 + figures.clients)
    expect(exported[0]).toBe(
      'client_id,recency_days,frequency,monetary_gross_minor,monetary_net_minor,first_purchase,last_purchase,r,f,m,rfm_score,segment,loyalty_score,model,as_of',
    )
    expect(clientLine('12346')).toMatchObject({
      frequency: '1',
      monetary_gross_minor: '7718360',
      monetary_net_minor: '0',
    })
    expect(clientLine('17850')).toMatchObject({
      frequency: '34',
      monetary_gross_minor: '539121',
      last_purchase: '2010-12-02',
      recency_days: '372',
    })
    expect(clientLine('14911')).toMatchObject({ frequency: '201', monetary_gross_minor: '14382506', recency_days: '1' })
    expect(clientLine('16446')).toMatchObject({ frequency: '2', monetary_gross_minor: '16847250' })
  })

  it(
    'reports the stored upload when it runs again',
    async () => {
      const again = lastJson<Report>(await runLoyalty(['demo', '--exit', '--json', '--data-dir', data.path]))
      const { seconds: _, ...report } = lastJson<Report>(first)
      expect(again).toMatchObject(report)
    },
    minutes,
  )

  it(
    'has the same clients once the file came twice, was taken back, and came again in another form, told nothing of it',
    async () => {
      const at = ['--json', '--data-dir', data.path]
      const sent = async (path: string) =>
        lastJson<Report>(await runLoyalty(['ingest', path, '--wait', '--data-dir', data.path, '--json']))
      const uploads = async (...args: string[]) =>
        lastJson<Upload & List>(await runLoyalty(['uploads', ...args, ...at]))
      const clients = async () =>
        (await runLoyalty(['clients', 'export', '--data-dir', data.path])).stdout.trimEnd().split('\n')
      // Verbs join it; else each would start engines of its own.
      const platform = await startPlatform(data.path)
      try {
        expect(await sent(samplePath)).toMatchObject({ accepted: 0, duplicates: figures.accepted })
        expect(await clients()).toEqual(exported)

        const listed = (await uploads('list')).uploads.map(({ batch_id }) => batch_id)
        expect(listed).toHaveLength(2)
        expect(await uploads('undo', listed[1]!)).toMatchObject({
          taken_back: 0,
          standing: { count: figures.accepted },
          buyers: figures.buyers,
        })
        const all = { taken_back: figures.accepted, clients: figures.clients, buyers: 0 }
        expect(await uploads('undo', listed[0]!)).toMatchObject(all)
        const undone = { batch_id: listed[0]!, status: 'COMPLETED', undone_at: expect.any(String) }
        expect(await uploads('show', listed[0]!)).toMatchObject(undone)

        const again = { accepted: figures.accepted, rejected: figures.rejected, duplicates: 0, buyers: figures.buyers }
        const russian = join(data.path, 'russian.csv')
        await writeRussianSample(russian)
        expect(await sent(russian)).toMatchObject({ ...again, input: { encoding: 'windows-1251', delimiter: ';' } })
        expect(await clients()).toEqual(exported)

        expect(await uploads('undo', (await uploads('list')).uploads[0]!.batch_id)).toMatchObject(all)
        const workbook = join(data.path, 'workbook.xlsx')
        await writeWorkbookSample(workbook)
        expect(await sent(workbook)).toMatchObject({ ...again, input: { container: 'xlsx' } })
        expect(await clients()).toEqual(exported)
      } finally {
        await stopPlatform(platform)
      }
    },
    8 * minutes,
  )

  it(
    'builds a projection anew on a directory at rest',
    async () => {
      const run = await runLoyalty(['rebuild', 'clickhouse-state', '--json', '--data-dir', data.path])
      expect(run.stdout.trimEnd().split('\n')).toHaveLength(1)
      expect(lastJson(run)).toMatchObject({ projection: 'clickhouse-state', status: 'COMPLETED', attempts: 1 })
      expect(run.stderr).toMatch(/100% [\d,]+ of [\d,]+ records/)
      expect(await exportedNow()).toEqual(exported)
    },
    2 * minutes,
  )

  it(
    'scores by cut-points of its own choice, on a directory at rest',
    async () => {
      const cuts = ['--r', '30,90', '--f', '1,5', '--m', '148400,408100', '--basis', 'gross']
      const published = await runLoyalty([
        'cut-points',
        'publish',
        ...cuts,
        '--data-dir',
        data.path,
        '--wait',
        '--json',
      ])
      expect(lastJson(published)).toMatchObject({ published: true })
      const run = await runLoyalty(['clients', 'export', '--format', 'jsonl', '--data-dir', data.path])
      const clients = run.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, number | string | null>)
      expect(clients).toHaveLength(figures.clients)
      const steps = (value: number, limits: number[]) => 1 + limits.filter((limit) => limit < value).length
      for (const client of clients.filter(({ frequency }) => Number(frequency) > 0))
        expect(client).toMatchObject({
          r: 4 - steps(Number(client.recency_days), [30, 90]),
          f: steps(Number(client.frequency), [1, 5]),
          m: steps(Number(client.monetary_gross_minor), [148_400, 408_100]),
        })
    },
    2 * minutes,
  )
})
