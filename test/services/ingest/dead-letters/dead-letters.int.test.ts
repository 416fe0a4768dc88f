import type { Pool } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { decodeReplayHeaders } from '#schemas/dead-letter.ts'
import { schemaText } from '#schemas/published.ts'
import { Control } from '#services/ingest/control.ts'
import { underActionLock } from '#services/ingest/dead-letters/lock.ts'
import { ActionRunner } from '#services/ingest/dead-letters/runner.ts'
import { ActionStore } from '#services/ingest/dead-letters/store.ts'
import { readRange } from '#streams/log/range.ts'
import { eventually } from '../../../support/eventually.ts'
import { SharedStage } from '../support/stages.ts'
import { clientRows } from '../support/world.ts'
import { type ActionAnswer, call, done, ended, inPounds, saleOf, Tills } from './support.ts'

/** Dead letters of a running stream, over the API of ingestion, on the log of PostgreSQL. */

const stage = SharedStage.ofFile('dead-letters')
const { topics, registry } = stage
let url: string
let pool: Pool
let tills: Tills

beforeAll(async () => {
  tills = await Tills.open(stage.log, registry, topics, 2)
  const ingest = await stage.ingest(inPounds)
  url = ingest.url
  pool = ingest.pool
  await stage.stream()
})

interface Letter {
  readonly id: string
  readonly state: string
  readonly attempt: number
  readonly replay_of: { readonly id: string; readonly action_id: string } | null
  readonly action_id: string | null
  readonly transaction: Record<string, unknown> | null
  readonly undecodable: string | null
}

async function letters(query: string): Promise<Letter[]> {
  const { status, body } = await call<{ dead_letters: Letter[] }>(url, `?${query}`)
  expect(status).toBe(200)
  return body.dead_letters
}

/** Waits until so many letters fit the query. */
function untilLetters(query: string, count: number): Promise<Letter[]> {
  return eventually(async () => {
    const found = await letters(query)
    return found.length >= count && found
  })
}

async function rowOf(clientId: string) {
  return (await clientRows(stage.log, registry, topics)).find((row) => row.client_id === clientId)
}

function untilGross(clientId: string, grossMinor: number) {
  return eventually(async () => {
    const row = await rowOf(clientId)
    return row?.monetary_gross_minor === grossMinor && row
  })
}

describe('letters of a wrong currency', () => {
  test('are patched and replayed as the dry run said, and count once', async () => {
    const wrong = Array.from({ length: 30 }, (_, i) =>
      saleOf({ transaction_id: `pos:i=w${i}`, client_id: `w${i % 3}`, currency: 'EUR', source: 'pos:wrong' }),
    )
    await tills.send(
      ...wrong,
      saleOf({ transaction_id: 'pos:i=bad', client_id: 'w1', currency: 'EUR', source: 'pos:wrong', amount_minor: -5 }),
    )
    await untilLetters('source=pos:wrong', 31)
    const order = { selector: { source: ['pos:wrong'] }, rule: { set: { currency: 'GBP' } } }
    const preview = await call<Record<string, unknown>>(url, '/preview', order)
    expect(preview).toMatchObject({
      status: 200,
      body: { selected: 31, would_replay: 30, left: { still_invalid: 1 }, still_invalid: { invalid: 1 } },
    })
    expect(preview.body).toMatchObject({
      examples: [{ why: 'still_invalid', detail: expect.stringContaining('amount_minor') }],
    })

    const action = await done(url, '/replay', order, 'anna')
    expect(action).toMatchObject({
      status: 'COMPLETED',
      ordered_by: 'anna',
      counts: { selected: 31, replayed: 30, discarded: 0, left: { still_invalid: 1 }, still_invalid: { invalid: 1 } },
    })
    for (const client of ['w0', 'w1', 'w2']) await untilGross(client, 10_000)
    expect(await letters('source=pos:wrong&state=replayed&limit=1000')).toHaveLength(30)
    expect(await letters('source=pos:wrong')).toHaveLength(1)

    const again = await done(url, '/replay', order)
    expect(again.counts).toMatchObject({ selected: 1, replayed: 0 })
    // The till sends what was mended by hand once more: it is the same transaction.
    await tills.send(
      ...wrong.map((sale) => ({ ...sale, currency: 'GBP' })),
      saleOf({ client_id: 'w0', transaction_id: 'pos:i=w-last' }),
    )
    await untilGross('w0', 11_000)
    expect(await rowOf('w1')).toMatchObject({ monetary_gross_minor: 10_000, transactions: 10 })
  })

  test('are re-expressed by a rate, with a note of what they were', async () => {
    await tills.send(
      saleOf({
        transaction_id: 'pos:i=jpy',
        client_id: 'jpy',
        currency: 'JPY',
        source: 'pos:jpy',
        amount_minor: 1_500,
      }),
    )
    await untilLetters('source=pos:jpy', 1)
    const rule = { accept_currency: { currency: 'JPY', rate: '0.0052' } }
    await done(url, '/replay', { selector: { source: ['pos:jpy'] }, rule })
    await untilGross('jpy', 780)
  })
})

test('a letter that is still refused comes back as another one that names it', async () => {
  await tills.send(saleOf({ transaction_id: 'pos:i=twice', client_id: 'twice', source: 'pos:twice' }))
  await untilGross('twice', 1_000)
  await tills.send(saleOf({ transaction_id: 'pos:i=twice', client_id: 'other', currency: 'EUR', source: 'pos:twice' }))
  const [first] = await untilLetters('source=pos:twice', 1)
  const rule = { set: { currency: 'GBP', amount_minor: 1 }, map_client: { other: 'twice' } }
  const action = await done(url, '/replay', { selector: { id: [first!.id] }, rule })
  expect(action.counts.replayed).toBe(1)
  const [second] = await untilLetters(`came_back_from=${action.action_id}`, 1)
  expect(second).toMatchObject({
    state: 'open',
    reason: 'conflicting_duplicate',
    attempt: 2,
    replay_of: { id: first!.id, action_id: action.action_id },
  })
  expect((await letters('source=pos:twice')).map(({ id }) => id)).toEqual([second!.id])
  expect(await letters('source=pos:twice&state=replayed')).toMatchObject([
    { id: first!.id, action_id: action.action_id },
  ])
  const { body } = await call<{ groups: unknown[] }>(url, '/groups?source=pos:twice')
  expect(body.groups).toMatchObject([{ reason: 'conflicting_duplicate', count: 1, came_back: 1 }])

  const stays = await done(url, '/replay', { selector: { source: ['pos:twice'] } })
  expect(stays.counts).toMatchObject({ selected: 1, replayed: 0, left: { discard_only: 1 } })
  const gone = await done(url, '/discard', { selector: { source: ['pos:twice'] }, reason: 'typed twice' }, 'boris')
  expect(gone).toMatchObject({ kind: 'discard', reason: 'typed twice', ordered_by: 'boris', counts: { discarded: 1 } })
  expect(await letters('source=pos:twice')).toEqual([])
  expect(await letters('source=pos:twice&state=discarded')).toMatchObject([
    { id: second!.id, action_id: gone.action_id },
  ])
  const { body: history } = await call<{ actions: { action_id: string }[] }>(url, '/actions?limit=3')
  expect(history.actions.map((each) => each.action_id).slice(0, 3)).toEqual([
    gone.action_id,
    stays.action_id,
    action.action_id,
  ])
})

test('letters of an unknown schema are replayed as they are once it is registered', async () => {
  const schema = JSON.parse(schemaText('TransactionRecorded')) as { fields: object[] }
  const wider = { ...schema, fields: [...schema.fields, { name: 'till_version', type: 'string', default: '' }] }
  const unknown = (await registry.register('probe', '{"type":"string"}')) + 1
  const value = Buffer.concat([
    tills.encode(saleOf({ transaction_id: 'pos:i=new', client_id: 'new' })),
    Buffer.from([0]),
  ])
  value.writeUInt32BE(unknown, 1)
  await tills.raw({ key: Buffer.from('new'), value })
  const [letter] = await untilLetters('reason=unknown_schema', 1)
  const selector = { reason: ['unknown_schema'] }
  const before = await call(url, '/preview', { selector })
  expect(before.body).toMatchObject({ selected: 1, would_replay: 0, still_invalid: { unknown_schema: 1 } })
  expect((await call<Letter>(url, `/${letter!.id}`)).body).toMatchObject({
    transaction: null,
    undecodable: expect.stringContaining(String(unknown)),
  })

  expect(await registry.register('wider', JSON.stringify(wider))).toBe(unknown)
  expect((await call<Letter>(url, `/${letter!.id}`)).body).toMatchObject({
    transaction: { transaction_id: 'pos:i=new', occurred_at: '2011-03-01T12:00:00.000Z' },
  })
  const action = await done(url, '/replay', { selector })
  expect(action.counts.replayed).toBe(1)
  await untilGross('new', 1_000)
  expect(await lastValue('new')).toEqual(value)
})

/** Value of the newest transaction of a client. */
async function lastValue(clientId: string): Promise<Buffer | null> {
  let last: Buffer | null = null
  for (const [partition, end] of (await stage.log.admin.endOffsets(topics.transactions)).entries())
    for await (const { records } of readRange(stage.log, topics.transactions, partition, 0, end))
      for (const { key, value } of records)
        if (key !== null && value !== null && Buffer.from(key).toString() === clientId) last = Buffer.from(value)
  return last
}

test('letters written under a wrong schema id are read by the one that the rule names', async () => {
  const value = tills.encode(saleOf({ transaction_id: 'pos:i=mislabelled', client_id: 'mislabelled' }))
  const right = value.readUInt32BE(1)
  value.writeUInt32BE(await registry.register('probe', '{"type":"string"}'), 1)
  await tills.raw({ key: Buffer.from('mislabelled'), value })
  const [letter] = await untilLetters('client_id=mislabelled', 1)
  expect((await call<Letter>(url, `/${letter!.id}?schema_id=${right}`)).body.transaction).toMatchObject({
    client_id: 'mislabelled',
  })
  const action = await done(url, '/replay', { selector: { client_id: ['mislabelled'] }, rule: { schema_id: right } })
  expect(action.counts.replayed).toBe(1)
  await untilGross('mislabelled', 1_000)
})

test('a record that is too large is replayed without what makes it so', async () => {
  const lines = Array.from({ length: 1_000 }, (_, i) => ({
    ...{ sku: `${i}`.padEnd(280, 'x'), description: null, category: null, quantity: 1, amount_minor: 1 },
  }))
  const large = saleOf({ transaction_id: 'pos:i=large', client_id: 'large', source: 'pos:large', lines })
  await tills.send(large)
  const [letter] = await untilLetters('client_id=large', 1)
  expect(letter).toMatchObject({ reason: 'too_large', truncated_from: null })
  expect((await call<Letter>(url, `/${letter!.id}`)).body.transaction).toMatchObject({ transaction_id: 'pos:i=large' })
  const selector = { client_id: ['large'] }
  const asItIs = await call(url, '/preview', { selector })
  expect(asItIs.body).toMatchObject({ would_replay: 0, still_invalid: { too_large: 1 } })
  await done(url, '/replay', { selector, rule: { set: { lines: [] } } })
  await untilGross('large', 1_000)
})

test('pages follow one another from the newest to the oldest, each letter once', async () => {
  const seen: string[] = []
  let next: string | null = ''
  while (next !== null) {
    const path: string = `?state=any&limit=7${next === '' ? '' : `&before=${next}`}`
    const { body } = await call<{ dead_letters: Letter[]; next: string | null }>(url, path)
    seen.push(...body.dead_letters.map(({ id }) => id))
    next = body.next
  }
  expect(new Set(seen).size).toBe(seen.length)
  const { body } = await call<{ total: number }>(url, '/groups?state=any')
  expect(seen).toHaveLength(body.total)
})

test.each([
  ['/preview', { selector: {} }, 'request_invalid'],
  ['/replay', { selector: { all: true }, rule: {} }, 'request_invalid'],
  ['/replay', { selector: { all: true }, rule: { set: { transaction_id: 'x' } } }, 'request_invalid'],
  ['/replay', { selector: { all: true }, rule: { accept_currency: { currency: 'GBP', rate: '1' } } }, 'rule_invalid'],
  ['/replay', { selector: { all: true }, rule: { schema_id: 4_000 } }, 'rule_invalid'],
  ['/discard', { selector: { all: true }, reason: ' ' }, 'request_invalid'],
])('%s refuses %j', async (path, body, code) => {
  expect(await call(url, path, body)).toMatchObject({ status: 400, body: { code } })
})

describe('two replays at once', () => {
  const selector = { source: ['pos:rivals'] }

  async function refused(count: number, from = 0) {
    const wrong = Array.from({ length: count }, (_, i) =>
      saleOf({ transaction_id: `pos:i=r${from + i}`, client_id: 'rivals', currency: 'EUR', source: 'pos:rivals' }),
    )
    await tills.send(...wrong)
    await untilLetters('source=pos:rivals', count)
  }

  async function runnerElsewhere() {
    const store = new ActionStore(pool)
    const control = await Control.open(stage.log, topics, registry)
    return new ActionRunner({ job: { log: stage.log, topics, registry, pool, control, store, crash: () => {} } })
  }

  test('replay every letter once, whichever program works on them', async () => {
    await refused(40)
    const order = { selector, rule: { set: { currency: 'GBP' } } }
    const [elsewhere, further] = [await runnerElsewhere(), await runnerElsewhere()]
    const orders = await Promise.all([1, 2].map(() => call<ActionAnswer>(url, '/replay', order)))
    const { signal } = new AbortController()
    await Promise.all([elsewhere.work(signal), further.work(signal)])
    const [first, second] = await Promise.all([
      ended(url, orders[0]!.body.action_id),
      ended(url, orders[1]!.body.action_id),
    ])
    expect(first.counts.replayed + second.counts.replayed).toBe(40)
    expect([first.counts.selected, second.counts.selected].sort()).toEqual([0, 40])
    await untilGross('rivals', 40_000)
    expect(await replayedRecords()).toBe(40)
  })

  test('wait for whoever holds the lock, as an undo does while it decides', async () => {
    await refused(1, 40)
    const held = Promise.withResolvers<void>()
    const holding = Promise.withResolvers<void>()
    const holder = underActionLock(pool, () => {
      holding.resolve()
      return held.promise
    })
    await holding.promise
    const ordered = await call<ActionAnswer>(url, '/replay', { selector, rule: { set: { currency: 'GBP' } } })
    expect(await (await runnerElsewhere()).work(new AbortController().signal)).toBe(false)
    expect(await underActionLock(pool, async () => 'worked')).toBeNull()
    expect((await call<ActionAnswer>(url, `/actions/${ordered.body.action_id}`)).body).toMatchObject({
      ...{ status: 'PENDING', counts: { replayed: 0 } },
    })
    held.resolve()
    await holder
    expect((await ended(url, ordered.body.action_id)).counts).toMatchObject({ selected: 1, replayed: 1 })
  })

  async function replayedRecords(): Promise<number> {
    let count = 0
    for (const [partition, end] of (await stage.log.admin.endOffsets(topics.transactions)).entries())
      for await (const { records } of readRange(stage.log, topics.transactions, partition, 0, end))
        for (const { headers, key } of records)
          if (Buffer.from(key!).toString() === 'rivals' && decodeReplayHeaders(headers) !== null) count++
    return count
  }
})

test('a discard needs a reason, and that is what its refusal says', async () => {
  for (const reason of [undefined, null, ' '])
    expect(await call(url, '/discard', { selector: { all: true }, reason })).toMatchObject({
      status: 400,
      body: { details: { faults: [{ field: 'reason', fault: expect.stringMatching(/reason is needed/) }] } },
    })
})

test('letters that were named by id and are not open are counted', async () => {
  await tills.send(saleOf({ transaction_id: 'pos:i=named', currency: 'EUR', source: 'pos:named' }))
  await untilLetters('source=pos:named', 1)
  const { dead_letters: letters } = (await call<{ dead_letters: { id: string }[] }>(url, '?source=pos:named')).body
  const selector = { id: [letters[0]!.id, '99:1'] }
  const preview = await call(url, '/preview', { selector, rule: { set: { currency: 'GBP' } } })
  expect(preview.body).toMatchObject({ selected: 1, not_open: 1 })
  const discard = async () => {
    const ordered = await call<ActionAnswer>(url, '/discard', { selector, reason: 'no use' })
    return (await ended(url, ordered.body.action_id)).counts
  }
  expect(await discard()).toMatchObject({ selected: 1, discarded: 1, not_open: 1 })
  expect(await discard()).toMatchObject({ selected: 0, discarded: 0, not_open: 2 })
  const all = await call(url, '/preview', { selector: { source: ['pos:named'] } })
  expect(all.body).not.toHaveProperty('not_open')
})

test('an order has a largest size', async () => {
  const order = { selector: { all: true }, rule: { map_client: { old: 'x'.repeat(5_000_000) } } }
  expect(await call(url, '/preview', order)).toMatchObject({ status: 413, body: { code: 'body_too_large' } })
})

test('what is not there is said to be not there', async () => {
  expect(await call(url, '/1:999999')).toMatchObject({ status: 404, body: { code: 'dead_letter_not_found' } })
  expect(await call(url, '/9:0')).toMatchObject({ status: 404, body: { code: 'dead_letter_not_found' } })
  expect(await call(url, '/actions/00000000-0000-4000-8000-000000000000')).toMatchObject({
    status: 404,
    body: { code: 'dead_letter_action_not_found' },
  })
  expect(await call(url, '/nonsense')).toMatchObject({ status: 400, body: { code: 'request_invalid' } })
})
