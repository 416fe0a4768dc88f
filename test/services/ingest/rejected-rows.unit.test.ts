import { appendFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  csvLine,
  isRejectedHeader,
  originalCell,
  safeCell,
  verdictColumns,
} from '#services/ingest/files/rejected-csv.ts'
import { readRows, unknownInput } from '#services/ingest/files/rows.ts'
import { type FileProfile, parseProfile } from '#services/ingest/profile.ts'
import { openJudged, rejectedCsv, rejectedJson } from '#services/ingest/rejected-rows.ts'
import type { UploadReport } from '#services/ingest/report.ts'
import type { UploadView } from '#services/ingest/store/uploads.ts'
import { readVerdicts, VerdictWriter } from '#services/ingest/verdict-files.ts'
import { type Language, sentences, verdictCodes } from '#services/ingest/verdicts.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { batchId, lineHeader, lineProfile, prepareIn } from './support/prepare.ts'
import { xlsx } from './support/xlsx.ts'

let dir: TempDir
beforeEach(async () => {
  dir = await tempDir('loyalty-rejected-')
})
afterEach(() => dir.remove())

const upload = { batchId, status: 'COMPLETED' } as UploadView

async function prepared(text: string, profile: FileProfile = lineProfile()) {
  const path = join(dir.path, 'file.csv')
  await writeFile(path, text)
  return prepareIn(dir.path, path, profile)
}

async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

const csv = async (language: Language = 'en', flagged = false) =>
  textOf(rejectedCsv(await openJudged(dir.path, upload, flagged), language))

const columns = `loyalty_row,loyalty_reason,loyalty_field,loyalty_value,loyalty_explanation,loyalty_upload,${lineHeader}`

test('rejected rows come in the order of the file, whole receipts, with reason, field, value and sentence', async () => {
  const rows = [
    'R1,17,2011-06-15 12:00,1,1,A',
    'R2,17,2011-06-15 12:00,1,1,"A ""b"", c"',
    'R3,17,2011-06-15 12:00,0,1,A',
    'R2,17,2011-06-15 12:00,?,1,B',
  ]
  await prepared([lineHeader, ...rows].join('\n'))
  const en = (code: keyof typeof sentences) => {
    const sentence = sentences[code].en
    return sentence.includes(',') ? `"${sentence}"` : sentence
  }
  expect((await csv()).split('\r\n')).toEqual([
    `\ufeff${columns}`,
    `2,incomplete_receipt,receipt_number,R2,${en('incomplete_receipt')},${batchId},${rows[1]}`,
    `3,zero_amount,unit_price,0.00,${en('zero_amount')},${batchId},${rows[2]}`,
    `4,bad_amount,unit_price,?,${en('bad_amount')},${batchId},${rows[3]}`,
    '',
  ])
})

test('in Russian the sentences are Russian and the cells divided as a Russian spreadsheet expects', async () => {
  await prepared([lineHeader, 'R1,,2011-06-15 12:00,1,1,A'].join('\n'))
  const [header, row] = (await csv('ru')).split('\r\n')
  expect(header).toBe(`\ufeff${columns.replaceAll(',', ';')}`)
  expect(row).toBe(`1;missing_client;client;;в строке не указан клиент;${batchId};R1;;2011-06-15 12:00;1;1;A`)
})

test('every verdict has a sentence in both languages', () => {
  for (const code of verdictCodes) {
    expect(sentences[code].en).toMatch(/^[a-z][ -~]+$/)
    expect(sentences[code].ru).toMatch(/^[а-я][а-яё0-9 ,.:()–КБи]+$/u)
  }
})

test('rows that were kept and flagged come only when they are asked for, two flags of a row in one line', async () => {
  const profile = lineProfile({
    outliers: { max_amount: 100 },
    columns: { ...lineProfile().columns, original: 'original' },
  })
  const { events } = await prepared(
    [`${lineHeader},original`, 'C1,17,2011-06-15 12:00,101,-1,A,R9', 'R2,,2011-06-15 12:00,1,1,A,'].join('\n'),
    profile,
  )
  expect(events).toMatchObject({ references: 1, outliers: { flagged: 1 } })
  const late = await VerdictWriter.create(join(dir.path, 'verdicts', batchId), 'late', 2)
  late.add(1, 'unknown_original', 12, null)
  await late.finish()
  expect((await csv()).split('\r\n').slice(1, -1)).toEqual([expect.stringMatching(/^2,missing_client,client,,/)])
  expect((await csv('en', true)).split('\r\n').slice(1, -1)).toEqual([
    expect.stringMatching(/^1,outlier; unknown_original,unit_price; original,101.00; R9,/),
    expect.stringMatching(/^2,missing_client,client,,/),
  ])
})

test('as JSON each row has its verdicts with both sentences and its cells', async () => {
  await prepared([lineHeader, 'R1,,2011-06-15 12:00,1,1,A', 'R2,17,2011-06-15 12:00,?,1,A'].join('\n'))
  const text = await textOf(rejectedJson(batchId, await openJudged(dir.path, upload, false)))
  const value = { code: 'bad_amount', field: 'unit_price', value: '?', sentence: sentences.bad_amount }
  expect(JSON.parse(text)).toEqual({
    batch_id: batchId,
    columns: lineHeader.split(','),
    rows: [
      expect.objectContaining({ row: 1 }),
      { row: 2, verdicts: [value], cells: ['R2', '17', '2011-06-15 12:00', '?', '1', 'A'] },
    ],
  })
})

test('rows cannot be shown without their file, and the answer says where it is missed', async () => {
  await prepared([lineHeader, 'R1,,2011-06-15 12:00,1,1,A'].join('\n'))
  await rm(join(dir.path, 'file.csv'))
  await expect(csv()).rejects.toMatchObject({ code: 'verdicts_missing', details: { path: 'file.csv' } })
})

test('a file without verdicts says whether they will come', async () => {
  const open = (status: UploadView['status']) => openJudged(dir.path, { ...upload, status }, false)
  await expect(open('PROCESSING')).rejects.toMatchObject({ code: 'verdicts_not_ready', retriable: true })
  await expect(open('FAILED')).rejects.toMatchObject({ code: 'verdicts_missing', retriable: false })
  const elsewhere = openJudged(dir.path, { ...upload, report: {} as UploadReport }, false)
  await expect(elsewhere).rejects.toMatchObject({ code: 'kept_elsewhere', retriable: false })
})

describe('a file of rejected rows that comes back', () => {
  const read = async (path: string, format: FileProfile['format']) => {
    const rows: string[][] = []
    const input = unknownInput()
    for await (const batch of readRows(path, format, { input })) rows.push(...batch)
    return { rows, input }
  }

  test('is read without the columns of the verdicts, also where the original had no header, or columns by their place', async () => {
    const profile = parseProfile(
      {
        ...{
          name: 'places',
          system: { name: 'places', identity: [] },
          grain: 'receipt',
          time_zone: 'UTC',
          currency: 'GBP',
        },
        format: {
          kind: 'fixed',
          header: false,
          fields: [
            { name: 'client', from: 0, width: 3 },
            { name: 'day', from: 4, width: 10 },
            { name: 'sum', from: 15, width: 5 },
          ],
        },
        columns: { client: 'client', occurred_at: 'day', amount: 'sum' },
        dates: { formats: ['iso'] },
      },
      'test',
    )
    await prepared('017 2011-06-15 12.50\n018 2011-06-15  =1,5\n', profile)
    const text = await csv()
    expect(text).toContain(',018,2011-06-15,"\'=1,5"')
    const corrected = join(dir.path, 'corrected.csv')
    await writeFile(corrected, text.replace(/"'=1,5"(\r\n)$/, '1.5$1'))
    const { rows, input } = await read(corrected, profile.format)
    expect(rows).toEqual([['018', '2011-06-15', '1.5']])
    expect(input).toMatchObject({ rejected_rows: true, delimiter: ',', encoding: 'utf-8' })
    const again = await prepareIn(join(dir.path, 'again'), corrected, profile)
    expect(again.published.map(({ client_id, amount_minor }) => [client_id, amount_minor])).toEqual([['018', 150]])
  })

  test('as a Russian spreadsheet saves it: semicolons, Windows-1251', async () => {
    const head = csvLine([...verdictColumns, ...lineHeader.split(',')], ';')
    const row = csvLine(
      ['1', 'bad_amount', 'unit_price', '?', 'сумма не указана', '', 'R1', 'Иванов', 'x', '1', '1', 'A'],
      ';',
    )
    const cp1251 = [...`${head}${row}`].map((char) => {
      const code = char.codePointAt(0)!
      return code >= 0x410 && code <= 0x44f ? code - 0x350 : code
    })
    const path = join(dir.path, 'saved.csv')
    await writeFile(path, Buffer.from(cp1251))
    const format = lineProfile({ format: { kind: 'csv', delimiter: ',', encoding: 'utf-8' } }).format
    const { rows } = await read(path, format)
    expect(rows).toEqual([lineHeader.split(','), ['R1', 'Иванов', 'x', '1', '1', 'A']])
  })

  test('has no titles above its header, as its original had, also as a workbook', async () => {
    const profile = lineProfile({ format: { kind: 'csv', skip_rows: 2 } })
    const bad = 'R2,,2011-06-15 12:00,1,1,A'
    await prepared(['Report', 'Shop,5', lineHeader, 'R1,17,2011-06-15 12:00,1,1,A', bad].join('\n'), profile)
    const [head = '', row = ''] = (await csv()).split('\r\n')
    expect([head, row]).toEqual([`\ufeff${columns}`, expect.stringMatching(/^2,missing_client,/)])
    const path = join(dir.path, 'back')
    const whole = [lineHeader, bad].map((line) => line.split(','))
    await writeFile(path, `${head}\n${row}\n`)
    expect((await read(path, profile.format)).rows).toEqual(whole)
    await writeFile(path, xlsx([head.slice(1), row].map((line) => line.split(','))))
    expect(await read(path, profile.format)).toMatchObject({ rows: whole, input: { rejected_rows: true } })
  })

  test('leaves out what was dropped as a repetition', async () => {
    const row = 'R1,17,2011-06-15 12:00,1,1,A'
    const profile = lineProfile({ identical_rows: 'drop' })
    await prepared([lineHeader, row, row, 'R2,,2011-06-15 12:00,1,1,A'].join('\n'), profile)
    const path = join(dir.path, 'back.csv')
    await writeFile(path, await csv())
    expect((await readFile(path, 'utf8')).split('\r\n')[1]).toMatch(/^2,duplicate_row,/)
    expect((await read(path, profile.format)).rows.map(([receipt]) => receipt)).toEqual(['receipt', 'R2'])
  })

  test('its header is told from any other', () => {
    expect(isRejectedHeader([...verdictColumns, 'a'])).toBe(true)
    expect(isRejectedHeader([...verdictColumns.slice(0, 4), 'a'])).toBe(false)
    expect(isRejectedHeader([])).toBe(false)
  })
})

describe('cells for spreadsheets', () => {
  test.each(['=1+1', '+7 (495) 1', '-x', '@a', ' =1', '\t=1', "'=1", '＝1', '=HYPERLINK("x")', '+', '-'])(
    '%j is no formula',
    (text) => expect(safeCell(text)).toBe(`'${text}`),
  )

  test.each(['-5', '-5.25', '+1 000,50', '12', 'a=b', "it's", "'quoted'", ''])('%j stays', (text) =>
    expect(safeCell(text)).toBe(text),
  )

  test('any cell comes back as it was, also from a file', async () => {
    const cell = fc.oneof(
      fc.string({ unit: fc.constantFrom('=', '+', '-', "'", '"', ' ', '\t', '1', ',', ';', 'x', '\n', '\r') }),
      fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', '').toWellFormed()),
    )
    fc.assert(fc.property(cell, (text) => originalCell(safeCell(text)) === text))
    const path = join(dir.path, 'cells.csv')
    const plain = cell.filter((text) => !text.includes('\ufeff'))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(plain, plain), { maxLength: 5 }), async (rows) => {
        await writeFile(path, csvLine([...verdictColumns, 'a', 'b'], ','))
        for (const row of rows) await appendFile(path, csvLine(['1', '', '', '', '', '', ...row.map(safeCell)], ','))
        const read: string[][] = []
        for await (const batch of readRows(path, {
          kind: 'csv',
          delimiter: 'auto',
          quote: '"',
          encoding: 'utf-8',
          header: true,
        }))
          read.push(...batch)
        expect(read.slice(1)).toEqual(rows)
      }),
      { numRuns: 40 },
    )
  })
})

test('verdicts of many parts, found in any order, are read in the order of the rows', async () => {
  const path = join(dir.path, 'many')
  const rows = 300_000
  const found = await VerdictWriter.create(path, 'rows', null)
  for (let row = 1; row <= rows; row += 3) found.add(row, 'missing_client', 0, null)
  await found.finish()
  const later = await VerdictWriter.create(path, 'receipts', rows)
  for (let row = rows - 1; row > 0; row -= 3) later.add(row, 'zero_amount', 3, '0.00')
  await later.finish()
  const read: number[] = []
  for await (const part of readVerdicts(path, rows)) for (const { row } of part) read.push(row)
  expect(read).toEqual(Array.from({ length: rows }, (_, i) => i + 1).filter((row) => row % 3 !== 0))
  await rm(path, { recursive: true })
})
