import { randomUUID } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { openKafkaLog } from '#streams/log/kafka/kafka-log.ts'
import { eventually } from '../../../support/eventually.ts'
import { sharedKafka } from '../../../support/kafka/shared-kafka.ts'
import { SharedStage } from '../support/stages.ts'
import { clientRows } from '../support/world.ts'
import { call, done, inPounds, saleOf, Tills } from './support.ts'

/** On Kafka the dead letters have marks of transactions between them, and places that hold no letter. */

const topics = topicsOf(`dlq-${randomUUID()}`)
const onKafka = async () => openKafkaLog({ brokers: await sharedKafka(), clientId: 'dead-letters' })
const stage = SharedStage.ofFile('dead-letters-kafka', topics, onKafka)
const { registry } = stage
let url: string

beforeAll(async () => {
  url = (await stage.ingest(inPounds)).url
  await stage.stream()
})

interface Page {
  readonly dead_letters: readonly { readonly id: string; readonly reason: string; readonly attempt: number }[]
  readonly next: string | null
}

function untilOpen(count: number): Promise<Page['dead_letters']> {
  return eventually(
    async () => {
      const { dead_letters } = (await call<Page>(url, '?limit=1000')).body
      return dead_letters.length === count && dead_letters
    },
    { timeoutMs: 30_000, everyMs: 100 },
  )
}

test('letters are listed by pages, mended, replayed once each and discarded', async () => {
  const tills = await Tills.open(stage.log, registry, topics, 2)
  // Several steps, so that marks lie between the letters.
  for (let round = 0; round < 3; round++) {
    const sales = Array.from({ length: 8 }, (_, i) =>
      saleOf({ transaction_id: `pos:i=${round}-${i}`, client_id: `c${i}`, currency: 'EUR' }),
    )
    await tills.send(...sales)
    await untilOpen(8 * (round + 1))
  }
  const seen: string[] = []
  let next: string | null = ''
  while (next !== null) {
    const path: string = `?limit=5${next === '' ? '' : `&before=${next}`}`
    const { body } = await call<Page>(url, path)
    seen.push(...body.dead_letters.map(({ id }) => id))
    next = body.next
  }
  expect([seen.length, new Set(seen).size]).toEqual([24, 24])
  expect(await call(url, `/${seen[0]}`)).toMatchObject({ status: 200, body: { transaction: { currency: 'EUR' } } })

  const rule = { set: { currency: 'GBP' } }
  const action = await done(url, '/replay', { selector: { all: true }, rule })
  expect(action.counts).toMatchObject({ selected: 24, replayed: 24 })
  await eventually(
    async () => {
      const rows = await clientRows(stage.log, registry, topics)
      return rows.reduce((sum, row) => sum + row.monetary_gross_minor, 0) === 24_000
    },
    { timeoutMs: 30_000, everyMs: 100 },
  )
  await tills.send(saleOf({ transaction_id: 'pos:i=0-1', client_id: 'c1', currency: 'GBP', amount_minor: 1 }))
  expect(await untilOpen(1)).toMatchObject([{ reason: 'conflicting_duplicate', attempt: 1 }])
  const discarded = await done(url, '/discard', { selector: { all: true }, reason: 'typed twice' })
  expect(discarded.counts).toMatchObject({ selected: 1, discarded: 1 })
  await untilOpen(0)
})
