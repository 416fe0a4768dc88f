import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { encoded } from '../ingest/support/bytes.ts'
import { retailFile } from '../ingest/support/world.ts'
import { lastJson, runLoyalty } from './support/run-cli.ts'

interface Report {
  readonly accepted: number
  readonly duplicates: number
  readonly clients: number
  readonly currency: string
  readonly input: { readonly encoding: string; readonly delimiter: string }
}

const minutes = 60_000
const plain = retailFile(60).replaceAll('Article', 'Article №5')
/** The same as a Russian spreadsheet writes it. */
const russian = plain
  .replaceAll(',', ';')
  .replaceAll('1.25', '1,25')
  .replace(/(\d{4})-(\d\d)-(\d\d) (\d\d:\d\d):\d\d/g, '$3.$2.$1 $4')

describe('files that nobody named a profile for, on a directory of their own', () => {
  let dir: TempDir
  let data: string
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(dir.path, name), content)
    return join(dir.path, name)
  }

  beforeAll(async () => {
    dir = await tempDir('loyalty-unnamed-')
    data = join(dir.path, 'data')
  })
  afterAll(() => dir.remove())

  it(
    'a known header begins the programme by its profile; the file in another form has the same transactions',
    async () => {
      const bad = '99999;A1;Article;1;01.01.2011;сколько?;100.0;United Kingdom\n'
      const path = file('russian.csv', encoded(russian + bad, 'windows-1251'))
      const first = await runLoyalty(['ingest', path, '--data-dir', data, '--wait', '--json'])
      expect(lastJson<Report>(first)).toMatchObject({
        accepted: 60,
        duplicates: 0,
        clients: 10,
        currency: 'GBP',
        input: { encoding: 'windows-1251', delimiter: ';' },
      })
      expect(first.stderr).toContain('read by file profile online-retail')
      const given = ['--profile', 'online-retail', '--data-dir', data, '--wait', '--json']
      const second = await runLoyalty(['ingest', file('plain.csv', plain), ...given])
      expect(lastJson<Report>(second)).toMatchObject({ accepted: 0, duplicates: 60 })

      const at = ['--data-dir', data, '--json']
      const { uploads } = lastJson<{ uploads: { batch_id: string }[] }>(await runLoyalty(['uploads', 'list', ...at]))
      const [, { batch_id }] = uploads as [object, { batch_id: string }]
      expect(lastJson(first)).toMatchObject({ batch_id })
      const listed = await runLoyalty(['uploads', 'list', '--data-dir', data])
      expect(listed.stdout).toMatch(new RegExp(`${batch_id} +COMPLETED +1 +60 +0 `))
      expect(lastJson(await runLoyalty(['uploads', 'rejected', batch_id, ...at]))).toMatchObject({
        batch_id,
        rows: [{ row: 121, verdicts: [{ code: 'bad_amount', field: 'unit_price', value: 'сколько?' }] }],
      })
    },
    3 * minutes,
  )

  it(
    'at rest a dry run knows the programme and the saved profiles, and they are managed',
    async () => {
      const path = file('sales.csv', 'Дата;Номер чека;Карта клиента;Сумма\n13.03.2024 10:15;1001;7;1 250,50\n')
      const dryRun = async () => lastJson(await runLoyalty(['ingest', path, '--dry-run', '--json', '--data-dir', data]))
      const proposed = await dryRun()
      expect(proposed).toMatchObject({
        basis: 'content',
        good_enough: true,
        totals: { currency: 'GBP', transactions: 1 },
        profile: { time_zone: 'Europe/London' },
      })
      const own = file('own.json', JSON.stringify((proposed as { profile: object }).profile))
      const saved = await runLoyalty(['profiles', 'save', own, '--name', 'shops', '--json', '--data-dir', data])
      expect(lastJson(saved)).toEqual({ name: 'shops', created: true })
      expect(await dryRun()).toMatchObject({ basis: 'known', known: 'shops' })
      const deleted = await runLoyalty(['profiles', 'delete', 'shops', '--json', '--data-dir', data])
      expect(lastJson(deleted)).toEqual({ name: 'shops', deleted: true })
    },
    3 * minutes,
  )

  it(
    'no programme begins with a file whose currency nobody said',
    async () => {
      const path = file('sales.csv', 'Дата;Номер чека;Карта клиента;Сумма\n13.03.2024 10:15;1001;7;1 250,50\n')
      const other = join(dir.path, 'other')
      const refused = await runLoyalty(['ingest', path, '--wait', '--json', '--data-dir', other])
      expect([refused.code, lastJson(refused)]).toMatchObject([1, { error: { code: 'profile_needed' } }])
      const said = ['--currency', 'KZT', '--time-zone', 'Asia/Almaty', '--wait', '--json', '--data-dir', other]
      expect(lastJson<Report>(await runLoyalty(['ingest', path, ...said]))).toMatchObject({
        accepted: 1,
        currency: 'KZT',
      })
    },
    3 * minutes,
  )
})
