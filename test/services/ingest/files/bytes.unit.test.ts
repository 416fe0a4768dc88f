import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expansionLimits, readBytes } from '#services/ingest/files/bytes.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { zipped } from '../support/bytes.ts'
import { xlsx } from '../support/xlsx.ts'

let dir: TempDir
beforeAll(async () => {
  dir = await tempDir('loyalty-bytes-')
})
afterAll(() => dir.remove())

async function read(bytes: Uint8Array, limits = expansionLimits) {
  const path = join(dir.path, 'file')
  await writeFile(path, bytes)
  let container = ''
  const chunks: Buffer[] = []
  const onContainer = (found: string) => {
    container = found
  }
  for await (const chunk of readBytes(path, { limits, onContainer })) chunks.push(chunk)
  return { container, text: Buffer.concat(chunks).toString() }
}

const text = 'receipt,client,time\n'.repeat(50_000)
const content = Buffer.from(text)

describe('packed files', () => {
  test.each([
    ['none', content],
    ['gzip', gzipSync(text)],
    ['zstd', zstdCompressSync(text)],
    ['zip', zipped({ name: 'a.csv', content })],
    ['zip', zipped({ name: 'a.csv', content, method: 0 })],
    ['zip', zipped({ name: 'dir/', content: Buffer.alloc(0) }, { name: 'dir/a.csv', content })],
    ['zip', zipped({ name: 'a.csv', content }, { name: '__MACOSX/._a.csv', content: Buffer.from('x') })],
  ])('%s is known by its first bytes', async (container, bytes) => {
    expect(await read(bytes)).toEqual({ container, text })
  })

  test('an empty file in an archive is an empty file', async () => {
    expect(await read(zipped({ name: 'a.csv', content: Buffer.alloc(0), method: 0 }))).toEqual({
      container: 'zip',
      text: '',
    })
  })

  test('an archive of none or several files is refused with their number', async () => {
    const two = zipped({ name: 'a.csv', content }, { name: 'b.csv', content })
    await expect(read(two)).rejects.toMatchObject({ code: 'archive_not_single', details: { files: 2 } })
    await expect(read(zipped())).rejects.toMatchObject({ code: 'archive_not_single', details: { files: 0 } })
  })

  const whole = zipped({ name: 'a.csv', content })
  test.each([
    ['cut off', whole.subarray(0, whole.length - 60)],
    ['without its end', whole.subarray(0, 40)],
    ['with a wrong checksum', zipped({ name: 'a.csv', content, crc: 1 })],
    ['encrypted', zipped({ name: 'a.csv', content, flags: 1 })],
    ['packed in an unusual way', zipped({ name: 'a.csv', content, method: 12 })],
    ['whose directory lies', Buffer.from(whole).fill(0xee, whole.length - 6, whole.length - 2)],
  ])('an archive %s is an error with a code', async (_, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({ code: 'archive_unreadable' })
  })

  test('what unpacks to more bytes than may be is refused', async () => {
    const limits = { ...expansionLimits, maxBytes: 500_000 }
    await expect(read(gzipSync(text), limits)).rejects.toMatchObject({ code: 'file_expands_too_much' })
  })

  test('packed twice is refused', async () => {
    await expect(read(gzipSync(gzipSync(text)))).rejects.toMatchObject({ code: 'file_format_unsupported' })
  })
})

describe('formats that are not read', () => {
  const ole = Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(600)])
  const tar = Buffer.alloc(1024)
  tar.write('ustar', 257)
  const empty = Buffer.alloc(0)

  test.each([
    ['.xls', ole, 'convert-to xlsx'],
    ['.xls in a .gz', gzipSync(ole), 'convert-to xlsx'],
    ['.xlsx without its list of contents', zipped({ name: 'xl/workbook.xml', content: empty }), 'CSV'],
    ['.xlsx in a .zip', zipped({ name: 'a.xlsx', content: xlsx([['a']]) }), 'unpack it once'],
    ['.ods', zipped({ name: 'mimetype', content: empty }, { name: 'content.xml', content: empty }), 'CSV'],
    ['PDF', Buffer.from('%PDF-1.7\n'), 'CSV'],
    ['a table of HTML', Buffer.from('\n<table border="1">'), 'CSV'],
    ['XML', Buffer.from('\ufeff<?xml version="1.0"?>'), 'CSV'],
    ['tar', gzipSync(tar), 'one by one'],
    ['7-Zip', Buffer.from('377abcaf271c0004', 'hex'), 'unpack'],
    ['Parquet', Buffer.from('PAR1\x15'), 'CSV'],
  ])('%s is refused with what to do', async (_, bytes, remedy) => {
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'file_format_unsupported',
      message: expect.stringContaining(remedy),
    })
  })
})
