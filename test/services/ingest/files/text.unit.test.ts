import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EncodingFinder, guessEncoding } from '#services/ingest/files/encoding.ts'
import { PieceDecoder } from '#services/ingest/files/piece-decoder.ts'
import { isEncoding, readText } from '#services/ingest/files/text.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { encoded, utf16 } from '../support/bytes.ts'

let dir: TempDir
beforeAll(async () => {
  dir = await tempDir('loyalty-text-')
})
afterAll(() => dir.remove())

async function read(bytes: Uint8Array, encoding = 'auto') {
  const path = join(dir.path, 'file.csv')
  await writeFile(path, bytes)
  let decoding: unknown = null
  let text = ''
  const onDecoding = (found: unknown) => {
    decoding = found
  }
  for await (const chunk of readText(path, encoding, { onDecoding })) text += chunk
  return { text, decoding }
}

const header = 'Чек;Дата;Клиент;Товар;Сумма\n'
const row = '1001;15.06.2023 12:30;К-17;Молоко топлёное «Село», 1 л;1\u00a0234,50\n'
const text = header + row.repeat(3)

describe('encodings are told from the bytes', () => {
  test.each([
    ['utf-8', 'mark', Buffer.from(`\ufeff${text}`)],
    ['utf-8', 'bytes', Buffer.from(text)],
    ['utf-16le', 'mark', utf16(text, 'le')],
    ['utf-16be', 'mark', utf16(text, 'be')],
    ['utf-16le', 'bytes', utf16(text, 'le', false)],
    ['utf-16be', 'bytes', utf16(text, 'be', false)],
    ['windows-1251', 'bytes', encoded(text, 'windows-1251')],
  ])('%s by %s', async (encoding, by, bytes) => {
    expect(await read(bytes)).toEqual({ text, decoding: { encoding, by } })
  })

  test('koi8-r, which has no quotation marks of Russian', async () => {
    const plain = text.replaceAll(/[«»]/g, '"')
    expect(await read(encoded(plain, 'koi8-r'))).toEqual({
      text: plain,
      decoding: { encoding: 'koi8-r', by: 'bytes' },
    })
  })

  const words = [
    'Хлеб',
    'КОЛБАСА ВАРЁНАЯ',
    'платье женское',
    'Иванова Мария',
    'ШАПКА',
    'Сыр',
    'Кофе в зёрнах',
    'фунтов',
    'цена',
    'бонусной',
  ]
  test.each(words)('%s alone tells the two Russian encodings apart', (word) => {
    for (const encoding of ['windows-1251', 'koi8-r'] as const)
      expect(guessEncoding(encoded(`a;${word};5\n`, encoding))).toEqual({ kind: 'one', encoding })
  })

  test('plain ASCII needs no guess, however long', async () => {
    const plain = 'receipt,client\n'.repeat(50_000)
    expect(await read(Buffer.from(plain))).toEqual({ text: plain, decoding: { encoding: 'utf-8', by: 'ascii' } })
  })

  test('what tells encodings apart may come a megabyte after the beginning', async () => {
    const late = 'receipt,client\n'.repeat(80_000) + text
    expect(await read(encoded(late, 'windows-1251'))).toEqual({
      text: late,
      decoding: { encoding: 'windows-1251', by: 'bytes' },
    })
    expect((await read(Buffer.from(late))).text).toBe(late)
  })

  test('a space of Windows between thousands is no riddle', async () => {
    expect((await read(encoded('a;1\u00a0234,50\n', 'windows-1251'))).text).toBe('a;1\u00a0234,50\n')
  })

  test('codes of one Russian letter in every row do not hide that the header is Russian', async () => {
    const rows = Array.from({ length: 200 }, (_, row) => `${row};К${row};М1`)
    const own = ['Чек;Клиент;Магазин', ...rows].join('\n')
    for (const name of ['windows-1251', 'koi8-r'] as const) expect((await read(encoded(own, name))).text).toBe(own)
  })

  test('a Western file is not taken for Russian, but asked about', async () => {
    await expect(read(Buffer.from('id;item\n1;Café au lait\n2;Jalapeño\n', 'latin1'))).rejects.toMatchObject({
      code: 'encoding_unknown',
      details: { line: 2, offset: 13 },
    })
    await expect(read(Buffer.from('id;item\n1;Voucher £40.00\n', 'latin1'))).rejects.toMatchObject({
      code: 'encoding_unknown',
    })
    const { text: named } = await read(Buffer.from('1;Café\n', 'latin1'), 'windows-1252')
    expect(named).toBe('1;Café\n')
  })

  test('cut into chunks anywhere, the same text comes out', () => {
    const sources = [
      Buffer.from(`\ufeff${text}😀`),
      utf16(`${text}😀`, 'le'),
      utf16(text, 'be'),
      encoded(text, 'windows-1251'),
    ]
    fc.assert(
      fc.property(fc.constantFrom(...sources), fc.integer({ min: 1, max: 17 }), (bytes, size) => {
        const finder = new EncodingFinder('auto')
        const begin = finder.take(bytes, true)
        const pieces = new PieceDecoder(finder.decoding.encoding, finder.skipped)
        let read = ''
        for (let at = 0; at < begin.length; at += size) read += pieces.decode(begin.subarray(at, at + size), false)
        read += pieces.decode(Buffer.alloc(0), true)
        expect(read.replace('😀', '')).toBe(text)
      }),
    )
  })
})

describe('a file of several encodings is refused, and the message names the line where the second begins', () => {
  const of = (name: string, from: number, count: number, end = '') =>
    Array.from({ length: count }, (_, at) => `${name}${from + at};15.06.2023;${at}.50${end}\n`).join('')
  const head = 'client;date;amount\n'
  const windows = (text: string) => encoded(text, 'windows-1251')
  const koi = (text: string) => encoded(text, 'koi8-r')
  const mixed = (...parts: Uint8Array[]) => Buffer.concat([Buffer.from(head), ...parts])

  test.each([
    ['nine rows of UTF-8, then Windows-1251', [Buffer.from(of('Петя', 0, 9)), windows(of('Петя', 9, 9_990))], 11],
    ['half UTF-8, half Windows-1251', [Buffer.from(of('Петя', 0, 1_999)), windows(of('Петя', 0, 2_000))], 2_001],
    ['a row of UTF-8, a row of Windows-1251', [Buffer.from(of('Анна', 0, 1)), windows(of('Анна', 1, 1))], 3],
    ['a row of Windows-1251, a row of UTF-8', [windows(of('Анна', 0, 1)), Buffer.from(of('Анна', 1, 1))], 3],
    ['Windows-1251, then UTF-8', [windows(of('Петя', 0, 1_000)), Buffer.from(of('Петя', 0, 9))], 1_002],
    ['UTF-8 and Windows-1251 in each row', [Buffer.from('Петя;'), windows('Хлеб\n')], 2],
    ['UTF-8 and KOI8-R', [Buffer.from(of('Петя', 0, 20)), koi(of('Петя', 0, 20))], 22],
    ['UTF-8 and Western text', [Buffer.from(of('Петя', 0, 2)), Buffer.from(of('Café', 0, 2), 'latin1')], 4],
    ['Windows-1251, then ten rows of KOI8-R', [windows(of('Клиент', 0, 1_999)), koi(of('Клиент', 0, 10))], 2_001],
    ['the same with a shorter name', [windows(of('Петя', 0, 1_999)), koi(of('Петя', 0, 10))], 2_001],
    ['KOI8-R, then Windows-1251', [koi(of('Клиент', 0, 10)), windows(of('Иванова', 0, 1_999))], 12],
    ['UTF-8 far behind', [windows(of('Петя', 0, 9_000)), Buffer.from(of('Петя', 0, 1)), windows('Хлеб')], 9_002],
  ])('%s', async (_, parts, line) => {
    await expect(read(mixed(...parts)).then(({ decoding }) => decoding)).rejects.toMatchObject({
      code: 'file_unreadable',
      details: { line, offset: expect.any(Number) },
      message: expect.stringContaining('mixes encodings'),
    })
  })

  test('unless the profile names one, which then counts', async () => {
    const { text } = await read(mixed(windows(of('Петя', 0, 9)), Buffer.from('Петя\n')), 'windows-1251')
    expect(text).toContain('РџРµС‚СЏ')
  })

  test('capitals before signs are no UTF-8, in whatever number', async () => {
    const rows = 'БЕРЁЗА;«БАР»;РЁ;СССР…;С№17;Р\u00a0С\u00a0;СЁМГА;«МИР»–«СПАР»\n'.repeat(3_000)
    expect((await read(windows(rows))).text).toBe(rows)
  })

  test('abbreviations and codes are no other encoding, in whichever line', async () => {
    const names = ['Анна', 'Борис', 'Вера', 'Глеб', 'Дарья', 'Егор', 'Иван', 'Мария', 'Олег', 'Софья']
    const rows = names.map((name, at) => `${name};15.06.2023;${at}.50\n`).join('')
    const files = [
      `${rows}501;ФГБУ;БУФЕТ\n`,
      `ФГБУ "ФБУЗ"\n${rows}`,
      `${rows}ФБ-12, ФХ-7, ХБ-44\n`,
      `${rows}20;ФБУЗ;кг`,
    ]
    for (const own of files) {
      expect((await read(windows(own))).text).toBe(own)
      expect((await read(koi(own))).text).toBe(own)
    }
  })

  test('codes of any letters, and words that are rare, are no other encoding', async () => {
    const letters = 'АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯ'
    const code = (row: number) => Array.from({ length: 6 }, (_, at) => letters[(row * 7_919 * (at + 3)) % 28]).join('')
    const codes = `Клиент;Дата;Сумма\n${Array.from({ length: 2_000 }, (_, row) => `${code(row)};1\n`).join('')}`
    const rare = `Товар;Единица\n${'Молоко;мЛ\n'.repeat(20)}${'БУФФ;кВт\n'.repeat(3)}ФБР;кГ\nиВАНОВ;ШТ\n`
    for (const own of [codes, rare]) {
      expect((await read(windows(own))).text).toBe(own)
      expect((await read(koi(own))).text).toBe(own)
    }
  })

  test('a few damaged bytes in UTF-8 are named as such', async () => {
    const bytes = Buffer.concat([Buffer.from(row), Buffer.from([0xff, 0x0a]), Buffer.from(row)])
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'file_unreadable',
      details: { encoding: 'utf-8', by: 'bytes', line: 2, bytes: 'ff0a3130' },
    })
  })
})

describe('a profile may name the encoding', () => {
  test('which then counts, whatever the bytes look like', async () => {
    const bytes = encoded('Хлеб', 'koi8-r')
    expect((await read(bytes, 'windows-1251')).text).not.toBe('Хлеб')
    expect(await read(bytes, 'KOI8-R')).toEqual({ text: 'Хлеб', decoding: { encoding: 'koi8-r', by: 'profile' } })
    expect((await read(Buffer.from('\ufeffa'), 'utf-8')).text).toBe('a')
  })

  test('utf-16 is of the order that the mark says', async () => {
    expect((await read(utf16(text, 'be'), 'utf-16')).text).toBe(text)
    expect((await read(utf16(text, 'le'), 'utf-16')).text).toBe(text)
    expect((await read(utf16(text, 'le', false), 'utf-16')).text).toBe(text)
  })

  test('also one whose characters have bytes of any number', async () => {
    expect((await read(Buffer.from('c4e3bac30a', 'hex'), 'gbk')).text).toBe('你好\n')
    await expect(read(Buffer.from('610ac4e3ba', 'hex'), 'gbk')).rejects.toMatchObject({
      code: 'file_unreadable',
      details: { encoding: 'gbk', line: 2 },
    })
  })

  test('only one that can be decoded', () => {
    expect(['auto', 'utf-8', 'windows-1251', 'koi8-r', 'ibm866'].every(isEncoding)).toBe(true)
    expect(isEncoding('windows-9999')).toBe(false)
  })
})

describe('bytes that are no text are an error with their place', () => {
  const long = 'line,ж\n'.repeat(100_000)

  test.each([
    ['in a long file', Buffer.concat([Buffer.from(`${long}x,`), Buffer.from([0xc6, 0x0a])]), 100_001, long.length],
    ['in the first line', Buffer.from([0x61, 0xff, 0x62]), 1, 1],
    ['cut off at the end', Buffer.from('a\nжж').subarray(0, 5), 2, 4],
  ])('%s', async (_, bytes, line, least) => {
    const error = await read(bytes, 'utf-8').catch((reason) => reason)
    expect(error).toMatchObject({ code: 'file_unreadable', details: { encoding: 'utf-8', by: 'profile', line } })
    expect(error.details.offset).toBeGreaterThanOrEqual(least)
    expect(bytes.subarray(error.details.offset, error.details.offset + 4).toString('hex')).toBe(error.details.bytes)
  })

  test('an unpaired surrogate of UTF-16', async () => {
    const bytes = Buffer.concat([utf16('a\nb', 'le'), Buffer.from([0x00, 0xd8, 0x61, 0x00])])
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'file_unreadable',
      details: { encoding: 'utf-16le', by: 'mark', line: 2, offset: 8 },
    })
  })

  test('a file that begins in UTF-8 and goes on in another encoding', async () => {
    const bytes = Buffer.concat([Buffer.from(row.repeat(2_000)), encoded(row, 'windows-1251')])
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'file_unreadable',
      details: { encoding: 'utf-8', by: 'bytes', line: 2_001 },
      message: expect.stringContaining('mix encodings'),
    })
  })

  test('U+0000, in every encoding', async () => {
    const details = { line: 2 }
    await expect(read(Buffer.from('a,b\n1,\0\n'))).rejects.toMatchObject({ code: 'file_not_text', details })
    await expect(read(encoded('Хлеб\n1,\0\n', 'windows-1251'))).rejects.toMatchObject({
      code: 'file_not_text',
      details,
    })
    await expect(read(utf16('Хлеб\n1,\0\n', 'be'))).rejects.toMatchObject({ code: 'file_not_text', details })
  })
})
