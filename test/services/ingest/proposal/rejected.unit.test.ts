import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { previewFile } from '#services/ingest/preview.ts'
import type { FileProfile } from '#services/ingest/profile.ts'
import { ProfileBook } from '#services/ingest/profile-book.ts'
import { settledProfile } from '#services/ingest/proposal/propose.ts'
import { readingOf } from '#services/ingest/reading.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { lineProfile } from '../support/prepare.ts'
import { inRussia, proposalFor, table } from './support.ts'

/** Whether a file is taken in unasked goes by the rows as the upload would read them. */

let dir: TempDir
beforeEach(async () => {
  dir = await tempDir('loyalty-rejected-')
})
afterEach(() => dir.remove())

async function depsFor(saved: readonly FileProfile[]) {
  const profiles = join(dir.path, 'profiles')
  await mkdir(profiles)
  for (const profile of saved) await writeFile(join(profiles, `${profile.name}.json`), JSON.stringify(profile))
  return { profiles: new ProfileBook(null, profiles), context: async () => inRussia }
}

async function previewOf(content: string | Uint8Array, saved: readonly FileProfile[] = [], currency?: string) {
  const deps = await depsFor(saved)
  const path = join(dir.path, 'file')
  await writeFile(path, content)
  const preview = await previewFile(deps, path, { currency }, { directory: join(dir.path, 'work') })
  const { proposal } = await readingOf(deps, path, { currency })
  const settled = () => settledProfile(proposal!, [])
  return { preview, settled }
}

const names = ['Wer', 'Wann', 'Wieviel', 'Geld']
const own = lineProfile({
  ...{ grain: 'receipt', currency: 'RUB', system: { name: 'till', identity: [] }, dates: { formats: ['dd.MM.yyyy'] } },
  columns: { client: 'Wer', occurred_at: 'Wann', amount: 'Wieviel', currency: 'Geld' },
})
const rows = (bad: number, of = 10) =>
  Array.from({ length: of }, (_, at) => [`K${at}`, '13.03.2024', '5.50', at < bad ? 'KZT' : 'RUB'])

describe('a known profile', () => {
  test('that would reject more than half of the first rows for one reason is asked about', async () => {
    const { preview, settled } = await previewOf(table(';', names, ...rows(6)), [own])
    expect(preview).toMatchObject({ known: own.name, good_enough: false, totals: { rows: { rejected: 6 } } })
    expect(preview.confirm).toEqual([
      { field: 'rows', message: '6 of the first 10 rows would be rejected: wrong_currency' },
    ])
    expect(settled).toThrow(expect.objectContaining({ code: 'profile_needed' }))
  })

  test('gives verdicts where fewer rows lack the same, and where rows have no client', async () => {
    const some = rows(5).map((row, at) => (at < 5 ? row : row.with(0, '')))
    const { preview, settled } = await previewOf(table(';', names, ...some), [own])
    expect(preview).toMatchObject({ known: own.name, good_enough: true, totals: { rows: { rejected: 10 } } })
    expect(settled().name).toBe(own.name)
  })

  test('is judged with the currency that is said of the file', async () => {
    const { preview } = await previewOf(table(';', names, ...rows(10)), [own], 'KZT')
    expect(preview).toMatchObject({ known: own.name, good_enough: true, totals: { rows: { accepted: 10 } } })
  })

  test('with a column of times reads those of the file by formats of its own, where its own do not', async () => {
    const timed = { ...own, columns: { ...own.columns, time: 'Geld' }, dates: { formats: ['dd.MM.yyyy H:mm'] } }
    const { currency: _, ...columns } = timed.columns
    const saved = { ...timed, columns, dates: { ...timed.dates, future_days: 7 } }
    const text = table(';', names, ['K1', '3/13/2024', '5.50', '2:01 PM'], ['K2', '3/14/2024', '6.50', '9:15 AM'])
    const found = await proposalFor(text, { saved: [saved] })
    expect(found).toMatchObject({
      ...{ basis: 'variant', known: own.name, confirm: [] },
      profile: { dates: { formats: ['M/d/yyyy h:mm[:ss] a'], future_days: 7 } },
    })
    const none = await proposalFor(text.replaceAll(/ [AP]M/g, ' Uhr'), { saved: [saved] })
    expect(none.confirm.map(({ field }) => field)).toEqual(['dates.formats'])
  })

  test('says how dates are written, whatever rows have no time', async () => {
    const formats = ['dd.MM.yyyy HH:mm', 'yyyy-MM-dd HH:mm']
    const { currency: _, ...columns } = { ...own.columns, time: 'Geld' }
    const saved = { ...own, columns, dates: { formats } }
    const some = Array.from({ length: 100 }, (_, at) => [
      ...[`K${at}`, at < 4 ? '2024-03-05' : '05.03.2024', '5.50', at > 92 ? '' : '14:01'],
    ])
    const found = await proposalFor(table(';', names, ...some), { saved: [saved] })
    expect(found).toMatchObject({ basis: 'known', confirm: [], profile: { dates: { formats } } })
  })

  test('is not asked about where most rows name no client but a dash', async () => {
    const saved = { ...own, client_id: { written_as: 'integer' as const } }
    const most = rows(0).map((row, at) => row.with(0, at < 7 ? '-' : `${at}`))
    const { preview } = await previewOf(table(';', names, ...most), [saved])
    expect(preview).toMatchObject({ known: own.name, good_enough: true, totals: { rejected: { bad_client_id: 7 } } })
  })
})

describe('a profile made from the file', () => {
  const header = ['Client', 'Date', 'Amount']

  test('is asked about where few rows are rejected for each reason, but too many for all together', async () => {
    const few = Array.from({ length: 60 }, (_, at) => [
      ...[`K${at}`, at < 2 ? '30.05.2025' : '2025-05-13', at > 57 ? 'n/a' : '5.50'],
    ])
    const { preview } = await previewOf(table(';', header, ...few))
    expect(preview.confirm.map(({ field, message }) => `${field}: ${message}`)).toEqual([
      'rows: 2 of the first 60 rows would be rejected: bad_date',
      'rows: 2 of the first 60 rows would be rejected: bad_amount',
    ])
  })

  test('is used where no more than 5 % are rejected', async () => {
    const one = Array.from({ length: 20 }, (_, at) => [`K${at}`, at === 7 ? '30.05.2025' : '2025-05-13', '5.50'])
    const { preview } = await previewOf(table(';', header, ...one))
    expect(preview).toMatchObject({ good_enough: true, totals: { rejected: { bad_date: 1 } } })
  })

  test('is asked about where rows are dated after their upload, which would reject them', async () => {
    const { preview } = await previewOf(table(';', header, ['K1', '2078-03-13', '5.50']))
    expect(preview.confirm).toEqual([{ field: 'rows', message: expect.stringContaining('future_date') }])
  })
})
