import { once } from 'node:events'
import { expect, test } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import { readRange } from '#streams/log/range.ts'
import { eventually } from '../../../support/eventually.ts'
import { SharedStage } from '../support/stages.ts'
import { clientRows } from '../support/world.ts'
import { postTransactions, tillSale } from './support.ts'

const stage = SharedStage.ofFile('tills-crash')
const { topics, registry } = stage

const clients = 7
const batchOf = (batch: number) =>
  Array.from({ length: 50 }, (_, i) =>
    tillSale({ transaction_id: `${batch}-${i}`, client_id: `c${i % clients}`, amount_minor: 100 + i }),
  )

async function idsInLog(): Promise<Set<string>> {
  const decoder = decoderOf(registry, 'TransactionRecorded')
  const ids = new Set<string>()
  const ends = await stage.log.admin.endOffsets(topics.transactions)
  for (const [partition, end] of ends.entries())
    for await (const { records } of readRange(stage.log, topics.transactions, partition, 0, end))
      for (const { value } of records) {
        const decoded = await decoder.read(value)
        if (decoded.kind === 'ok') ids.add(decoded.event.transaction_id)
      }
  return ids
}

test('ingest is killed while tills send: what was answered is in the log, and sent again all of it counts once', async () => {
  const first = await stage.process()
  const answered: number[] = []
  let next = 0
  const till = async () => {
    for (;;) {
      const batch = next++
      const answer = await postTransactions(first.url, batchOf(batch)).catch(() => null)
      if (answer === null) return
      expect(answer.status).toBe(202)
      answered.push(batch)
      // In the very turn in which an answer came, others are on their way.
      if (answered.length === 40) first.process.kill('SIGKILL')
    }
  }
  const exit = once(first.process, 'exit')
  await Promise.all([till(), till(), till(), till()])
  expect(await exit).toEqual([null, 'SIGKILL'])
  expect(answered.length).toBeGreaterThanOrEqual(40)
  const ids = await idsInLog()
  for (const batch of answered) for (const item of batchOf(batch)) expect(ids).toContain(`pos:i=${item.transaction_id}`)

  await stage.stream()
  const second = await stage.process()
  for (let batch = 0; batch < next; batch++)
    expect((await postTransactions(second.url, batchOf(batch))).status).toBe(202)
  const sums = await eventually(
    async () => {
      const rows = await clientRows(stage.log, registry, topics)
      const transactions = rows.reduce((sum, row) => sum + row.transactions, 0)
      return (
        transactions >= next * 50 && {
          transactions,
          gross: rows.reduce((sum, row) => sum + row.monetary_gross_minor, 0),
        }
      )
    },
    { timeoutMs: 30_000, everyMs: 200 },
  )
  expect(sums).toEqual({ transactions: next * 50, gross: next * (50 * 100 + (49 * 50) / 2) })
})
