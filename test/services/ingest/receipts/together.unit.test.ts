import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventEncoder } from '#schemas/encoder.ts'
import type { FileProfile } from '#services/ingest/profile.ts'
import { groupReceipts } from '#services/ingest/receipts/group.ts'
import { readEventsWithRows } from '#services/ingest/receipts/prepared-events.ts'
import type { ReceiptsManifest } from '#services/ingest/receipts/receipt-pass.ts'
import { spillRows } from '#services/ingest/receipts/spill.ts'
import { leastAsideBytes, readTogether } from '#services/ingest/receipts/together.ts'
import { readVerdicts } from '#services/ingest/verdict-files.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { batchId, lineHeader, lineProfile, prepareText, uploadedAtMs } from '../support/prepare.ts'

let dir: TempDir
beforeAll(async () => {
  dir = await tempDir('loyalty-together-')
})
afterAll(() => dir.remove())

/** What a file comes to, with its events in the order in which they would be published, and every verdict. */
async function allOf(manifest: ReceiptsManifest, directory: string, verdictsDirectory: string) {
  const { key: _key, buckets, ...found } = manifest
  const events: unknown[] = []
  for (let bucket = 0; bucket < buckets; bucket++)
    for (const { event, rows } of await readEventsWithRows(directory, bucket)) {
      const { firstRow, partition, key, value } = event
      events.push([firstRow, rows, partition, Buffer.from(key).toString(), Buffer.from(value).toString('hex')])
    }
  const verdicts: unknown[] = []
  for await (const some of readVerdicts(verdictsDirectory, manifest.lastNumber)) verdicts.push(...some)
  return { found, events, verdicts }
}

async function inOnePass(text: string, profile: FileProfile) {
  const options = await optionsOf(text, profile, 'one')
  const manifest = await readTogether({ ...options, key: 'one' })
  return manifest && allOf(manifest, options.directory, options.verdictsDirectory)
}

async function inTwoPasses(text: string, profile: FileProfile) {
  const options = await optionsOf(text, profile, 'two')
  const rowsDirectory = join(dir.path, 'rows')
  const rows = await spillRows({ ...options, directory: rowsDirectory, key: `${Math.random()}` })
  const manifest = await groupReceipts({ ...options, key: 'two', rowsDirectory, rows })
  return allOf(manifest, options.directory, options.verdictsDirectory)
}

async function optionsOf(text: string, profile: FileProfile, name: string) {
  const path = join(dir.path, 'file.csv')
  await writeFile(path, text)
  const encoder = new EventEncoder('TransactionRecorded', 1)
  const verdictsDirectory = join(dir.path, name, 'verdicts')
  const directory = join(dir.path, name, 'events')
  return { path, profile, directory, verdictsDirectory, batchId, partitions: 4, encoder, uploadedAtMs }
}

const row = fc.record({
  client: fc.constantFrom('17', '17', '17', '18', ''),
  time: fc.constantFrom('2011-06-15 12:00', '2011-06-15 12:00', '2011-06-16 00:10', 'yesterday'),
  price: fc.constantFrom('2.50', '1', '-3', '0', 'x'),
  quantity: fc.constantFrom('1', '2'),
  kind: fc.constantFrom('sale', 'sale', 'return'),
})
const receipts = fc.array(fc.array(row, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 12 })

const profiles: Record<string, FileProfile> = {
  'one receipt a number': lineProfile(),
  'one receipt a number and kind': lineProfile({
    system: { name: 'till', identity: ['receipt_number'], numbers_cover_kinds: false },
    columns: { ...lineProfile().columns, kind: 'kind' },
    kinds: { sale: { values: ['sale'] }, refund: { values: ['return'] } },
  }),
  'numbers that begin anew each day': lineProfile({ system: { name: 'till', identity: ['day', 'receipt_number'] } }),
  'equal rows dropped': lineProfile({ identical_rows: 'drop' }),
}

type Receipts = typeof receipts extends fc.Arbitrary<infer Value> ? Value : never

function linesOf(file: Receipts): string[] {
  return file.flatMap((rows, at) =>
    rows.map(({ client, time, price, quantity, kind }) => `R${at},${client},${time},${price},${quantity},A,${kind}`),
  )
}

function textOf(lines: readonly string[]): string {
  return `${lineHeader},kind\n${lines.join('\n')}\n`
}

describe('a file whose receipts stand together', () => {
  it.each(Object.entries(profiles))('comes to the same in one pass as in two: %s', async (_, profile) => {
    let equal = 0
    await fc.assert(
      fc.asyncProperty(receipts, async (file) => {
        const text = textOf(linesOf(file))
        const one = await inOnePass(text, profile)
        // Rows of a day between those of another one come back to their receipt.
        if (one === null) expect(profile).toBe(profiles['numbers that begin anew each day'])
        else {
          expect(one).toEqual(await inTwoPasses(text, profile))
          equal++
        }
      }),
      { numRuns: 20, seed: 7 },
    )
    expect(equal).toBeGreaterThan(3)
  })

  it('is read in one pass, by a thread of its own where it is large, and comes to the same', async () => {
    // What stands in a column that nobody reads.
    const ballast = 'x'.repeat(300)
    const lines = Array.from({ length: 30_000 }, (_, i) => {
      const receipt = Math.floor(i / 3)
      const price = receipt % 1_000 === 7 ? 'x' : '2.50'
      return `R${receipt},${receipt % 500},2011-06-15 12:00,${price},${1 + (i % 4)},Ж${i % 90},${ballast}`
    })
    const text = textOf(lines)
    expect(Buffer.byteLength(text)).toBeGreaterThan(leastAsideBytes)
    const one = await inOnePass(text, lineProfile())
    expect(one).toEqual(await inTwoPasses(text, lineProfile()))
    expect(one?.found.receipts.receipts).toBe(10_000 - 10)
  })
})

describe('a file whose receipts do not stand together', () => {
  const lines = ['R1,17,2011-06-15 12:00,2.50,1,A,sale', 'R2,18,2011-06-15 12:00,1,1,B,sale']
  const text = textOf([...lines, 'R1,17,2011-06-15 12:00,4.00,1,C,sale'])

  it('takes two passes: its rows meet wherever they stand', async () => {
    expect(await inOnePass(text, lineProfile())).toBeNull()
    const { events, published } = await prepareText(text)
    expect(published.map(({ receipt_number, amount_minor }) => [receipt_number, amount_minor])).toEqual([
      ['R1', 650],
      ['R2', 100],
    ])
    expect(events.tally).toEqual({ acceptedRows: 3, rejectedRows: 0, rejected: {} })
  })

  it('is incomplete where a rejected row of it stands apart', async () => {
    const apart = textOf([...lines, 'R1,17,2011-06-15 12:00,x,1,C,sale'])
    expect(await inOnePass(apart, lineProfile())).toBeNull()
    const { events } = await prepareText(apart)
    expect(events.tally.rejected).toEqual({ bad_amount: 1, incomplete_receipt: 1 })
  })
})
