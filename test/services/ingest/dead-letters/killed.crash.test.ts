import { once } from 'node:events'
import { expect, test } from 'vitest'
import { decodeReplayHeaders } from '#schemas/dead-letter.ts'
import { readRange } from '#streams/log/range.ts'
import { eventually } from '../../../support/eventually.ts'
import { SharedStage } from '../support/stages.ts'
import { clientRows } from '../support/world.ts'
import { type ActionAnswer, call, ended, letterOf, saleOf, Tills } from './support.ts'

const stage = SharedStage.ofFile('dead-letters-crash')
const { topics, registry } = stage

const letters = 5_000
const clients = 7

/** Letters that the stream once wrote, in both partitions. */
async function writeLetters(): Promise<void> {
  const tills = await Tills.open(stage.log, registry, topics, 2)
  const records = Array.from({ length: letters }, (_, i) => {
    const sale = saleOf({ transaction_id: `pos:i=${i}`, client_id: `c${i % clients}`, currency: 'EUR' })
    return letterOf('wrong_currency', tills.encode(sale), { key: Buffer.from(sale.client_id) })
  })
  const writer = stage.log.writer()
  await writer.append(topics.deadLetters, 0, records.slice(0, letters / 2))
  await writer.append(topics.deadLetters, 1, records.slice(letters / 2))
  await writer.close()
}

/** The letters that were replayed, once for each record. */
async function replayed(): Promise<string[]> {
  const found: string[] = []
  for (const [partition, end] of (await stage.log.admin.endOffsets(topics.transactions)).entries())
    for await (const { records } of readRange(stage.log, topics.transactions, partition, 0, end))
      found.push(...records.map(({ headers }) => decodeReplayHeaders(headers)?.of ?? 'none'))
  return found
}

test('a replay that is killed between appending and marking goes on, and replays no letter twice', async () => {
  await writeLetters()
  const first = await stage.process('inside-replay')
  const exit = once(first.process, 'exit')
  const order = { selector: { reason: ['wrong_currency'] }, rule: { set: { currency: 'GBP' } } }
  const { status, body } = await call<ActionAnswer>(first.url, '/replay', order)
  expect(status).toBe(202)
  expect(await exit).toEqual([null, 'SIGKILL'])
  const half = (await replayed()).length
  expect(half).toBeGreaterThan(0)
  expect(half).toBeLessThan(letters)

  const second = await stage.process()
  const action = await ended(second.url, body.action_id)
  expect(action).toMatchObject({ status: 'COMPLETED', counts: { selected: letters, replayed: letters } })
  const all = await replayed()
  expect(all).toHaveLength(letters)
  expect(new Set(all).size).toBe(letters)
  const { body: open } = await call<{ total: number }>(second.url, '/groups')
  expect(open.total).toBe(0)

  await stage.stream()
  const gross = await eventually(
    async () => {
      const rows = await clientRows(stage.log, registry, topics)
      const transactions = rows.reduce((sum, row) => sum + row.transactions, 0)
      return transactions >= letters && rows.reduce((sum, row) => sum + row.monetary_gross_minor, 0)
    },
    { timeoutMs: 60_000, everyMs: 200 },
  )
  expect(gross).toBe(letters * 1_000)
})
