import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { verdictColumns } from '#services/ingest/files/rejected-csv.ts'
import { compileDateFormats } from '#services/ingest/parse/date-format.ts'
import { compileApartWriter } from '#services/ingest/parse/date-writer.ts'
import { openJudged } from '#services/ingest/rejected-rows.ts'
import type { UploadView } from '#services/ingest/store/uploads.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { batchId, lineProfile, prepareIn } from '../support/prepare.ts'
import { type Cell, formatted, type TestWorkbook, xlsx } from '../support/xlsx.ts'

/** Workbooks with a column of days and one of times of day. */

let dir: TempDir
beforeEach(async () => {
  dir = await tempDir('loyalty-apart-')
})
afterEach(() => dir.remove())

const header = ['receipt', 'client', 'day', 'time', 'sum']
const profileOf = (...formats: string[]) =>
  lineProfile({
    ...{ grain: 'receipt', time_zone: 'UTC', system: { name: 'till', identity: ['receipt_number'] } },
    columns: { receipt_number: 'receipt', client: 'client', occurred_at: 'day', time: 'time', amount: 'sum' },
    dates: { formats },
  })

/** Number formats by their place, from 1. */
const formats = ['dd.mm.yyyy', 'h:mm', 'dd.mm.yyyy h:mm', '[h]:mm:ss']
const [days, times, both, elapsed] = [1, 2, 3, 4]
/** 25 May 2010, in days as a workbook counts. */
const may25 = 40_323
const at1422 = (14 * 60 + 22) / 1_440

async function timesOf(profile: ReturnType<typeof profileOf>, cells: readonly (readonly [Cell, Cell])[], book = {}) {
  const rows = [header, ...cells.map(([day, time], at) => [`R${at + 1}`, '17', day, time, 5])]
  return prepared(profile, { sheets: [{ rows }], formats, ...book })
}

async function prepared(profile: ReturnType<typeof profileOf>, book: TestWorkbook, key = 'first') {
  const path = join(dir.path, 'file.csv')
  await writeFile(path, xlsx(book))
  const { events, published } = await prepareIn(dir.path, path, profile, key)
  const read = published.map((event) => [event.receipt_number, new Date(event.occurred_at).toISOString().slice(0, 19)])
  return { rejected: events.tally.rejected, verdicts: events.verdicts, read: Object.fromEntries(read) }
}

describe('a day and a time of day that a workbook knows the type of', () => {
  test.each([
    ['dd.MM.yyyy H:mm[:ss]'],
    ['yyyy-MM-dd HH:mm:ss'],
    ['M/d/yyyy h:mm a'],
    ['M/d/yyyy h:mm[:ss][ ]a'],
    ['dd.MM.yyyy 0:00:00 HH:mm'],
    ['iso'],
    ['excel'],
    ['dd.MM.yyyy'],
  ])('are read together by %s', async (format) => {
    const { rejected, read } = await timesOf(profileOf(format), [
      [formatted(may25, days), formatted(at1422, times)],
      [formatted(may25, days), formatted(0, times)],
      [formatted(may25, days), formatted(at1422 + 33 / 86_400, times)],
      [formatted(may25, days), formatted(at1422, elapsed)],
      [{ xml: '<c r="$" t="d"><v>2010-05-25</v></c>' }, formatted(at1422, times)],
    ])
    expect(rejected).toEqual({})
    expect(read).toEqual({
      R1: '2010-05-25T14:22:00',
      R2: '2010-05-25T00:00:00',
      R3: '2010-05-25T14:22:33',
      R4: '2010-05-25T14:22:00',
      R5: '2010-05-25T14:22:00',
    })
  })

  test('are read where either has the other with it: each column says its own part', async () => {
    const { rejected, read } = await timesOf(profileOf('dd.MM.yyyy H:mm[:ss]'), [
      [formatted(may25 + at1422, both), formatted(at1422, times)],
      [formatted(may25, both), formatted(may25 + at1422, times)],
      [formatted(may25, days), formatted(may25, times)],
    ])
    expect(rejected).toEqual({})
    expect(Object.values(read).sort()).toEqual(['2010-05-25T00:00:00', '2010-05-25T14:22:00', '2010-05-25T14:22:00'])
  })

  test('are read beside text, which goes by the profile', async () => {
    const { rejected, read } = await timesOf(profileOf('M/d/yyyy h:mm a', 'dd.MM.yyyy HH:mm'), [
      [formatted(may25, days), '2:22 PM'],
      [formatted(may25, days), '14:22'],
      ['5/25/2010', formatted(at1422, times)],
      ['25.05.2010', formatted(at1422, times)],
    ])
    expect(rejected).toEqual({})
    expect([...new Set(Object.values(read))]).toEqual(['2010-05-25T14:22:00'])
  })

  test('in workbooks that count from 1904', async () => {
    const cells = [[formatted(may25 - 1_462, days), formatted(at1422, times)]] as const
    const { read } = await timesOf(profileOf('dd.MM.yyyy HH:mm'), cells, { is1904: true })
    expect(read).toEqual({ R1: '2010-05-25T14:22:00' })
  })

  test('a missing time is not made up, and one that is no time is none', async () => {
    const { rejected, verdicts } = await timesOf(profileOf('dd.MM.yyyy HH:mm'), [
      [formatted(may25, days), ''],
      [formatted(may25, days), 'noon'],
      [formatted(may25, days), formatted(may25, days)],
    ])
    expect(rejected).toEqual({ bad_date: 3 })
    expect(verdicts.map(({ value }) => value)).toEqual(['25.05.2010', '25.05.2010', '25.05.2010'])
  })

  test('are read alike when they come back among rejected rows', async () => {
    const profile = profileOf('dd.MM.yyyy H:mm')
    const about = ['2', 'bad_amount', 'amount', 'x', '', '']
    const late = formatted(at1422 + 33 / 86_400, times)
    const cells = ['R1', '17', formatted(may25, days), late]
    expect(await prepared(profile, { sheets: [{ rows: [header, [...cells, 'x']] }], formats })).toMatchObject({
      rejected: { bad_amount: 1 },
    })
    const upload = { batchId, status: 'COMPLETED' } as UploadView
    const [judged] = await Array.fromAsync((await openJudged(dir.path, upload, false)).rows)
    const mended = [...about, ...judged!.cells.with(4, '5')]
    const rows = [[...verdictColumns, ...header], mended, [...about, 'R2', ...cells.slice(1), 5]]
    const { rejected, read } = await prepared(profile, { sheets: [{ rows }], formats }, 'again')
    expect(rejected).toEqual({})
    expect(read).toEqual({ R1: '2010-05-25T14:22:33', R2: '2010-05-25T14:22:33' })
  })
})

test('every day and time are read back as themselves, whatever the formats', () => {
  const known = [
    'iso',
    'excel',
    'dd.MM.yyyy HH:mm',
    'd/M/yyyy H:mm:ss',
    'yyyy-dd-MM h:mm a',
    'HH:mm dd.MM.yyyy',
    'yyyy-MM-ddTHH:mm',
    'yyyyMMddHHmmss',
  ]
  const lists = fc.uniqueArray(fc.constantFrom(...known), { minLength: 1, maxLength: 3 })
  const day = fc.integer({ min: -25_000, max: 45_000 })
  const second = fc.integer({ min: 0, max: 86_399 })
  fc.assert(
    fc.property(lists, day, second, fc.constantFrom(1, 60, 86_400), (list, days, seconds, step) => {
      const [dayMs, timeMs] = [days * 86_400_000, Math.floor(seconds / step) * step * 1_000]
      const texts = compileApartWriter(list)({ text: '', ms: dayMs }, { text: '', ms: timeMs })
      expect(compileDateFormats(list)(texts.join(' '))).toBe(dayMs + timeMs)
    }),
  )
})
