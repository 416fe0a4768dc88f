import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TransactionRecorded } from '#schemas/events.ts'
import { encodedTransactions } from '#services/cli/generator/encoded.ts'
import { tillItemOf } from '#services/cli/generator/till-item.ts'
import { generatedColumns, generateToFile } from '#services/cli/generator/to-file.ts'
import { type GeneratorOptions, TransactionGenerator } from '#services/cli/generator/transactions.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

const options: GeneratorOptions = { events: 50_000, clients: 5_000, seed: 3, detailed: false }

function events(more: Partial<GeneratorOptions> = {}): TransactionRecorded[] {
  return [...new TransactionGenerator({ ...options, ...more })]
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1)
  return counts
}

describe('generated transactions', () => {
  it('are the same for the same seed and others for another', () => {
    expect(events({ events: 10_000 })).toEqual(events({ events: 10_000 }))
    expect(events({ seed: 4 })[0]).not.toEqual(events()[0])
  })

  it('hold the wished number of events, with refunds, voids and repetitions in their shares', () => {
    const generator = new TransactionGenerator(options)
    const all = [...generator]
    const kinds = countBy(all, ({ kind }) => kind)
    expect(all).toHaveLength(50_000)
    expect(kinds.get('REFUND')! / all.length).toBeCloseTo(0.03, 2)
    expect(kinds.get('VOID')! / all.length).toBeCloseTo(0.005, 2)
    const distinct = new Set(all.map(({ transaction_id }) => transaction_id)).size
    expect(all.length - distinct).toBe(generator.counts.duplicates)
    expect(generator.counts.duplicates / all.length).toBeCloseTo(0.01, 2)
    expect(generator.counts.clients).toBe(new Set(all.map(({ client_id }) => client_id)).size)
    const { sales, refunds, voids, duplicates } = generator.counts
    expect(sales + refunds + voids + duplicates).toBe(all.length)
  })

  it('repeat an event without changing it', () => {
    const first = new Map<string, TransactionRecorded>()
    for (const event of events()) {
      const known = first.get(event.transaction_id)
      if (known === undefined) first.set(event.transaction_id, event)
      else expect(event).toEqual(known)
    }
  })

  it('take back only sales of the same client that arrived before, each once, and never more than was paid', () => {
    const sales = new Map<string, TransactionRecorded>()
    const seen = new Set<string>()
    for (const event of events()) {
      if (seen.has(event.transaction_id)) continue
      seen.add(event.transaction_id)
      if (event.kind === 'SALE') {
        sales.set(event.transaction_id, event)
        continue
      }
      const original = sales.get(event.original_transaction_id!)
      expect(original?.client_id).toBe(event.client_id)
      expect(event.occurred_at).toBeGreaterThan(original!.occurred_at)
      expect(event.amount_minor).toBeLessThanOrEqual(original!.amount_minor)
      sales.delete(event.original_transaction_id!)
    }
  })

  it('take back nothing that lies more than 16,384 sales back, so that every ledger still holds it', () => {
    const saleNumbers = new Map<string, number>()
    for (const event of events({ refundShare: 0.1, duplicateShare: 0 })) {
      const number = saleNumbers.get(event.original_transaction_id ?? '')
      if (number !== undefined) expect(saleNumbers.size - number).toBeLessThanOrEqual(16_384)
      if (event.kind === 'SALE' && !saleNumbers.has(event.transaction_id))
        saleNumbers.set(event.transaction_id, saleNumbers.size)
    }
  })

  it('follow Zipf: the first client has nearly the share that the law gives it', () => {
    const weights = Array.from({ length: 5_000 }, (_, rank) => (rank + 1) ** -1.05)
    const expected = 1 / weights.reduce((sum, weight) => sum + weight, 0)
    const counts = [...countBy(events(), ({ client_id }) => client_id).values()].sort((a, b) => b - a)
    expect(counts[0]! / 50_000 / expected).toBeGreaterThan(0.93)
    expect(counts[0]! / 50_000 / expected).toBeLessThan(1.07)
    expect(counts[0]! / counts[1]!).toBeCloseTo(2 ** 1.05, 0)
  })

  it('are spread evenly over clients when asked to', () => {
    const counts = [...countBy(events({ distribution: 'uniform' }), ({ client_id }) => client_id).values()]
    expect(counts.length).toBeGreaterThan(4_990)
    expect(Math.max(...counts)).toBeLessThan(40)
  })

  it('arrive in the order of time but for the late ones, with more trade on Saturday than on Monday', () => {
    const sales = events({ lateShare: 0, duplicateShare: 0 }).filter(({ kind }) => kind === 'SALE')
    const weekdays = countBy(sales, ({ occurred_at }) => String(new Date(occurred_at + 10_800_000).getUTCDay()))
    expect(weekdays.get('6')! / weekdays.get('1')!).toBeGreaterThan(1.4)
    const outOfOrder = sales.filter((sale, i) => i > 0 && sale.occurred_at < sales[i - 1]!.occurred_at - 900_000)
    expect(outOfOrder).toEqual([])
    expect(new Date(sales[0]!.occurred_at).toISOString().slice(0, 10)).toBe('2024-01-01')
    expect(new Date(sales.at(-1)!.occurred_at).toISOString().slice(0, 10)).toBe('2024-12-30')
  })

  it('carry lines of different articles that add up to the receipt when detailed; a void repeats those of its sale', () => {
    const all = events({ events: 5_000, detailed: true })
    const byId = new Map(all.map((event) => [event.transaction_id, event]))
    for (const { kind, lines, amount_minor, original_transaction_id } of all) {
      expect(new Set(lines.map(({ sku }) => sku)).size).toBe(lines.length)
      if (kind === 'VOID') expect(lines).toEqual(byId.get(original_transaction_id!)!.lines)
      else expect(lines.reduce((sum, line) => sum + line.amount_minor, 0)).toBe(amount_minor)
    }
    expect(all.filter(({ kind }) => kind === 'VOID').length).toBeGreaterThan(10)
  })

  it('are of stores of different sizes, with tills to match', () => {
    const all = events({ detailed: true, stores: 10, distribution: 'uniform' })
    const byStore = countBy(all, ({ store_id }) => store_id!)
    const tills = countBy([...new Set(all.map(({ terminal_id }) => terminal_id!))], (till) => till.split('/')[0]!)
    expect(byStore.size).toBe(10)
    expect(byStore.get('store-001')! / byStore.get('store-010')!).toBeGreaterThan(4)
    expect(tills.get('store-001')!).toBeGreaterThan(tills.get('store-010')!)
  })

  it('have other receipts with other options, also with the same seed', () => {
    const numbers = new Set(events({ events: 100 }).map(({ transaction_id }) => transaction_id))
    expect(events({ events: 101 }).filter(({ transaction_id }) => numbers.has(transaction_id))).toEqual([])
  })

  it.each([{ events: 0 }, { clients: 0.5 }, { refundShare: -0.1 }, { refundShare: 0.8, voidShare: 0.3 }])(
    'are refused for %o',
    (more) => {
      expect(() => new TransactionGenerator({ ...options, ...more })).toThrow(
        expect.objectContaining({ code: 'generator_options' }),
      )
    },
  )
})

describe('encoded transactions', () => {
  it('are keyed by client, lie in the partition of their key and lose nothing', () => {
    let count = 0
    const generator = new TransactionGenerator({ ...options, events: 2_500 })
    for (const batch of encodedTransactions(generator, { schemaId: 9, partitions: 4, batchEvents: 1_000 }))
      batch.forEach((records, partition) => {
        for (const { key, value } of records) {
          expect(partitionOf(key!, 4)).toBe(partition)
          expect([...value!.subarray(0, 5)]).toEqual([0, 0, 0, 0, 9])
          count++
        }
      })
    expect(count).toBe(2_500)
  })
})

describe('a generated file', () => {
  let dir: TempDir
  beforeAll(async () => {
    dir = await tempDir()
  })
  afterAll(() => dir.remove())

  it('has a header and one row a line of a receipt, with amounts in major units', async () => {
    const path = join(dir.path, 'receipts.csv')
    const progress: number[] = []
    const more = { ...options, events: 6_000 }
    const report = await generateToFile(path, more, { onProgress: (count) => progress.push(count) })
    const [header, ...rows] = (await readFile(path, 'utf8')).trimEnd().split('\n')
    expect(header).toBe(generatedColumns.join(','))
    const all = events({ events: 6_000, detailed: true })
    expect(rows).toHaveLength(all.reduce((sum, { lines }) => sum + lines.length, 0))
    const row =
      /^\w+-\d+,c\d{6},(SALE|REFUND|VOID),\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z,RUB,store-\d{3},\S+,\w+,[\w-]*,A\d+,\w+,\d,\d+\.\d\d$/
    expect(rows.filter((text) => !row.test(text))).toEqual([])
    expect(progress.at(-1)).toBe(6_000)
    expect(report).toMatchObject({ events: 6_000, interrupted: false })
    expect(report.per_second).toBeGreaterThan(0)
  })

  it.each([
    ['traffic.ndjson.gz', gunzipSync],
    ['traffic.ndjson.zst', zstdDecompressSync],
  ])('%s unpacks to what a till would send, line by line', async (name, unpack) => {
    const path = join(dir.path, name)
    await generateToFile(path, { ...options, events: 2_500 })
    const lines = unpack(await readFile(path))
      .toString()
      .trimEnd()
      .split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(events({ events: 2_500, detailed: true }).map(tillItemOf))
  })

  it.each(['nowhere/traffic.csv', 'folder.ndjson', 'nowhere/traffic.csv.gz'])('cannot be %s', async (name) => {
    await mkdir(join(dir.path, 'folder.ndjson'), { recursive: true })
    const path = join(dir.path, name)
    const told = { code: 'file_unwritable', message: expect.stringContaining(path), details: { path } }
    for (const events of [10, 50_000])
      await expect(generateToFile(path, { ...options, events })).rejects.toMatchObject(told)
  })

  it('ends early when it is asked to, and is whole as far as it goes', async () => {
    const path = join(dir.path, 'early.ndjson.gz')
    const stop = new AbortController()
    const report = await generateToFile(path, options, { signal: stop.signal, onProgress: () => stop.abort() })
    expect(report.interrupted).toBe(true)
    expect(report.events).toBeLessThan(50_000)
    expect(
      gunzipSync(await readFile(path))
        .toString()
        .trimEnd()
        .split('\n'),
    ).toHaveLength(report.events)
  })

  it.each([
    ['traffic.txt', {}],
    ['traffic.csv', { currency: 'GBP' }],
  ])('is refused: %s %o', async (name, more) => {
    const writing = generateToFile(join(dir.path, name), { ...options, ...more })
    await expect(writing).rejects.toMatchObject({ code: 'generator_options' })
  })
})
