import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import type { IngestCrashPoint } from '#services/ingest/crash.ts'
import { sentences } from '#services/ingest/verdicts.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { runHere } from '../cli/support/run-here.ts'
import { lineHeader, lineProfile } from './support/prepare.ts'
import { MemoryStage } from './support/stages.ts'

const stage = MemoryStage.ofFile('rejected')
const dataDir = () => join(stage.path, 'data')

beforeEach(async () => {
  const profile = lineProfile({
    columns: { ...lineProfile().columns, original: 'original' },
    outliers: { max_amount: 1_000 },
  })
  await writeFile(join(stage.path, 'test-lines.json'), JSON.stringify(profile))
})

async function open(crash: (point: IngestCrashPoint) => void = () => {}) {
  const ingest = await stage.ingest({ crash, profilesDir: stage.path }, dataDir())
  await stage.stream()
  const completed = async (text: string, name: string, profile = 'test-lines') => {
    const { body } = await ingest.upload(text, profile, name)
    const task = await ingest.ended(body.task_id)
    expect(task).toMatchObject({ status: 'COMPLETED', errorMessage: null })
    return { batchId: body.batch_id, report: task.report! }
  }
  const rejected = (batchId: string, query = '', headers = {}) =>
    fetch(`${ingest.url}/api/v1/management/data/uploads/${batchId}/rejected${query}`, { headers })
  return { ingest, completed, rejected }
}

const header = `${lineHeader},original`
const original = [
  header,
  'R1,17,2011-06-15 12:00,2.50,2,A,',
  'R2,18,2011-06-15 12:00,"2,50",2,A,',
  'R3,,2011-06-15 12:10,1.00,1,A,',
  'R2,18,2011-06-15 12:00,1.00,1,B,',
  'R4,19,2011-06-15 12:20,2000,1,=GOLD,',
  'C1,19,2011-06-16 12:20,500,-1,A,R4',
  'C2,19,2011-06-16 12:20,1,-1,A,R9',
].join('\n')

test('upload, rejected rows, corrected, uploaded: only the new rows count, and so with the whole file', async () => {
  const { completed, rejected } = await open()
  const first = await completed(original, 'till.csv')
  expect(first.report).toMatchObject({
    lines: 7,
    rows: { accepted: 4, rejected: 3 },
    accepted: 4,
    rejected: { bad_amount: 1, missing_client: 1, incomplete_receipt: 1 },
    flagged: { outlier: 1, unknown_original: 1 },
    outliers: { above_minor: 100_000, max_minor: 100_000, mads: null, median_minor: null, mad_minor: null },
    verdicts: [
      { row: 2, code: 'bad_amount', field: 'unit_price', value: '2,50', sentence: sentences.bad_amount },
      { row: 3, code: 'missing_client', field: 'client', value: '' },
      { row: 4, code: 'incomplete_receipt', field: 'receipt_number', value: 'R2' },
      { row: 5, code: 'outlier', field: 'unit_price', value: '2000.00' },
      { row: 7, code: 'unknown_original', field: 'original', value: 'R9' },
    ],
  })

  const response = await rejected(first.batchId)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8')
  expect(response.headers.get('content-disposition')).toBe(`attachment; filename="rejected-${first.batchId}.csv"`)
  const bytes = Buffer.from(await response.arrayBuffer())
  expect(bytes.subarray(0, 3)).toEqual(Buffer.from('\ufeff'))
  const text = bytes.toString('utf8')
  expect(text.split('\r\n').map((line) => line.split(',').slice(0, 3).join())).toEqual([
    '\ufeffloyalty_row,loyalty_reason,loyalty_field',
    '2,bad_amount,unit_price',
    '3,missing_client,client',
    '4,incomplete_receipt,receipt_number',
    '',
  ])

  const corrected = text.replace(',"2,50",2,A,', ',2.50,2,A,').replace(',R3,,', ',R3,20,')
  const second = await completed(corrected, 'corrected.csv')
  expect(second.report).toMatchObject({
    lines: 3,
    rows: { accepted: 3, rejected: 0 },
    accepted: 2,
    duplicates: 0,
    dead_letters: 0,
    gross_minor: 700,
    input: { rejected_rows: true },
    verdicts: [],
  })

  const whole = original.replace('"2,50"', '2.50').replace('R3,,', 'R3,20,')
  const third = await completed(whole, 'till.csv')
  expect(third.report).toMatchObject({ accepted: 0, duplicates: 6, dead_letters: 0, gross_minor: 0 })
})

test('rows of receipts that came before with other content are among the rejected ones; put right they count', async () => {
  const { completed, rejected } = await open()
  await completed(original.replace('"2,50"', '2.50'), 'till.csv')
  const other = [
    header,
    'R1,17,2011-06-15 12:00,2.50,2,A,',
    'R2,18,2011-06-15 12:00,9.99,2,A,',
    'R5,17,2011-06-15 13:00,1,1,A,',
    'R2,18,2011-06-15 12:00,1.00,1,B,',
  ].join('\n')
  const { batchId, report } = await completed(other, 'again.csv')
  expect(report).toMatchObject({
    ...{ accepted: 1, duplicates: 1, dead_letters: 1 },
    rejected: { conflict: 1 },
    conflicts: { count: 1, first: [{ receipt_number: 'R2' }] },
    verdicts: [{ row: 2, code: 'conflict', field: null, value: null, sentence: sentences.conflict }],
  })
  expect(Object.keys(report.conflicts!)).toEqual(['count', 'first'])
  const text = await (await rejected(batchId)).text()
  expect(text.split('\r\n').map((line) => line.split(',').slice(0, 2).join())).toEqual([
    'loyalty_row,loyalty_reason',
    '2,conflict',
    '4,conflict',
    '',
  ])
  // A number that was typed wrong.
  const corrected = await completed(text.replaceAll(',R2,', ',R6,'), 'corrected.csv')
  expect(corrected.report).toMatchObject({ accepted: 1, duplicates: 0, dead_letters: 0, verdicts: [] })
})

test('corrected rows need no profile: they are read by that of the upload that they are of', async () => {
  const { completed, rejected } = await open()
  const first = await completed(original, 'till.csv')
  const text = await (await rejected(first.batchId)).text()
  // Nobody knows the columns any more but the upload itself, and one faulty row is left.
  await rm(join(stage.path, 'test-lines.json'))
  const second = await completed(text.replace(',"2,50",2,A,', ',2.50,2,A,'), 'corrected.csv', '')
  expect(second.report).toMatchObject({
    rows: { accepted: 2, rejected: 1 },
    accepted: 1,
    dead_letters: 0,
    input: { rejected_rows: true, rejected_of: first.batchId },
  })
  // Rows that came back twice over are still of the system of the first.
  const whole = text.replace(',"2,50",2,A,', ',2.50,2,A,').replace(',R3,,', ',R3,20,')
  expect((await completed(whole, 'again.csv', '')).report).toMatchObject({ accepted: 1, duplicates: 1 })
})

test('flagged rows are asked for, in a language, by HTTP and on the command line', async () => {
  const { completed, rejected } = await open()
  const { batchId } = await completed(original, 'till.csv')
  const asked = await rejected(batchId, '?flags=true', { 'accept-language': 'de, ru-RU;q=0.9, en;q=0.5' })
  expect(asked.headers.get('content-language')).toBe('ru')
  const russian = await asked.text()
  expect(russian).toContain(`5;outlier;unit_price;2000.00;"${sentences.outlier.ru}"`.replaceAll('"', ''))
  expect(russian).toContain("2000;1;'=GOLD;")
  expect(await (await rejected(batchId, '?flags=true&lang=ru')).text()).toBe(russian)

  const env = { LOYALTY_POSTGRES_URL: stage.postgresUrl }
  const command = ['uploads', 'rejected', batchId, '--data-dir', dataDir()]
  const csv = await runHere([...command, '--lang', 'ru', '--flags'], env)
  expect(csv).toMatchObject({ code: 0, out: `\ufeff${russian}` })
  const { lastJson } = await runHere([...command, '--json'], env)
  expect(lastJson).toMatchObject({ batch_id: batchId, rows: [{ row: 2 }, { row: 3 }, { row: 4 }] })
  const unknown = await runHere(['uploads', 'rejected', 'nobody', '--json', '--data-dir', dataDir()], env)
  expect(unknown).toMatchObject({ code: 1, lastJson: { error: { code: 'upload_not_found' } } })
})

test.each(['after-rows', 'after-grouping', 'before-completed'] as const)(
  'interrupted %s, the verdicts are those of an upload that was not',
  async (point) => {
    let armed = true
    const { completed, rejected } = await open((at) => {
      if (at !== point || !armed) return
      armed = false
      throw new LoyaltyError('interrupted', `at ${at}`, { retriable: true })
    })
    const interrupted = await completed(original, 'till.csv')
    const again = await completed(`${original}\n`, 'till.csv')
    expect(armed).toBe(false)
    const text = async (batchId: string) =>
      (await (await rejected(batchId, '?flags=true')).text()).replaceAll(batchId, 'of this upload')
    expect(await text(interrupted.batchId)).toBe(await text(again.batchId))
    expect(interrupted.report.verdicts).toEqual(again.report.verdicts)
    expect(interrupted.report.flagged).toEqual({ outlier: 1, unknown_original: 1 })
  },
)

test('there is nothing to download of an upload that failed before its rows were judged, or that there is not', async () => {
  const { ingest, rejected } = await open()
  const { body } = await ingest.upload(`${header}\nR1,17,2011-06-15 12:00,1,1,A,\nR2,"`, 'test-lines')
  expect((await ingest.ended(body.task_id)).errorCode).toBe('csv_unclosed_quote')
  const failed = await rejected(body.batch_id)
  expect([failed.status, ((await failed.json()) as { code: string }).code]).toEqual([404, 'verdicts_missing'])
  const unknown = await rejected('00000000-0000-4000-8000-000000000000')
  expect([unknown.status, ((await unknown.json()) as { code: string }).code]).toEqual([404, 'upload_not_found'])
  expect((await rejected(body.batch_id, '?lang=de')).status).toBe(400)
})
