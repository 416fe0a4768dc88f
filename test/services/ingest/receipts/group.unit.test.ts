import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { lineHeader, lineProfile, prepareFile, prepareIn, prepareText } from '../support/prepare.ts'

let dir: TempDir
beforeEach(async () => {
  dir = await tempDir('loyalty-group-')
})
afterEach(() => dir.remove())

describe('spilling and grouping', () => {
  const line = fc.record({
    receipt: fc.integer({ min: 1, max: 12 }),
    cents: fc.integer({ min: 1, max: 100_000 }),
    quantity: fc.integer({ min: 1, max: 9 }),
  })

  test('any interleaving of lines gives the sums, the counts and the order of the receipts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 60 }), async (lines) => {
        const expected = new Map<number, number>()
        for (const { receipt, cents, quantity } of lines)
          expected.set(receipt, (expected.get(receipt) ?? 0) + cents * quantity)
        const text = lines.map(
          ({ receipt, cents, quantity }) =>
            `R${receipt},c${receipt % 3},2011-06-15 12:00,${(cents / 100).toFixed(2)},${quantity},A`,
        )
        const { published, events } = await prepareText([lineHeader, ...text].join('\n'))
        expect(published.map((event) => [event.receipt_number, event.amount_minor])).toEqual(
          [...expected].map(([receipt, minor]) => [`R${receipt}`, minor]),
        )
        expect(events.tally.acceptedRows).toBe(lines.length)
        expect(events.receipts.receipts).toBe(expected.size)
      }),
      { numRuns: 40 },
    )
  })

  const rows = Array.from({ length: 2_000 }, (_, i) => `R${i % 700},c${i % 7},2011-06-15 12:00,1.25,${1 + (i % 3)},A`)
  const text = [lineHeader, ...rows].join('\n')

  test('gzip and zstd files read like the plain one', async () => {
    const files = { 'a.csv': Buffer.from(text), 'b.csv.gz': gzipSync(text), 'c.csv.zst': zstdCompressSync(text) }
    const results = []
    for (const [name, bytes] of Object.entries(files)) {
      await writeFile(join(dir.path, name), bytes)
      results.push(await prepareFile(join(dir.path, name), lineProfile()))
    }
    expect(results[0]!.published).toHaveLength(700)
    expect(results[1]!.published).toEqual(results[0]!.published)
    expect(results[2]!.published).toEqual(results[0]!.published)
  })

  test('a damaged file is told from a wrong encoding by neither rows nor a crash', async () => {
    await writeFile(join(dir.path, 'cut.csv.gz'), gzipSync(text).subarray(0, 1_000))
    await writeFile(join(dir.path, 'latin.csv'), Buffer.from('receipt,client\nR1,\xe9\n', 'latin1'))
    const profile = lineProfile({ format: { kind: 'csv', encoding: 'utf-8' } })
    for (const name of ['cut.csv.gz', 'latin.csv'])
      await expect(prepareFile(join(dir.path, name), profile)).rejects.toMatchObject({ code: 'file_unreadable' })
  })

  test('a completed pass is not repeated: the file may be gone', async () => {
    const path = join(dir.path, 'file.csv')
    await writeFile(path, text)
    const first = await prepareIn(join(dir.path, 'spill'), path, lineProfile())
    await rm(path)
    const second = await prepareIn(join(dir.path, 'spill'), path, lineProfile())
    expect(second).toEqual(first)
  })

  test('what an interrupted pass left is thrown away, and a manifest of another file counts for nothing', async () => {
    const path = join(dir.path, 'file.csv')
    const spill = join(dir.path, 'spill')
    await writeFile(path, text)
    await mkdir(join(spill, 'rows'), { recursive: true })
    await writeFile(join(spill, 'rows', '0000.part'), 'half a row')
    await writeFile(join(spill, 'rows', 'manifest.json.new'), '{')
    const first = await prepareIn(spill, path, lineProfile(), 'one')
    expect(first.published).toHaveLength(700)
    await writeFile(path, [lineHeader, rows[0]].join('\n'))
    const second = await prepareIn(spill, path, lineProfile(), 'two')
    expect(second.published).toHaveLength(1)
    expect(await readdir(join(spill, 'rows'))).not.toContain('manifest.json.new')
  })
})
