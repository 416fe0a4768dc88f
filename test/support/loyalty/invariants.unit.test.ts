import { afterAll, beforeEach, expect, test } from 'vitest'
import { decodeDeadLetterHeaders, encodeDeadLetterHeaders } from '#schemas/dead-letter.ts'
import { decoderOf } from '#schemas/decoder.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionsAccepted } from '#schemas/events.ts'
import type { LogRecord } from '#streams/log/log.ts'
import { decodePosition, encodePosition, positionHeader, type TaskPosition } from '#streams/runtime/position.ts'
import { decodeMeta, encodeMeta, type StoredMeta } from '#streams/runtime/stored-meta.ts'
import { MemoryStateStore } from '#streams/state/memory-state-store.ts'
import { TopologyDriver } from './driver.ts'
import { checkInvariants, checkStores } from './invariants.ts'
import { sale } from './publisher.ts'
import { eventOf } from './world.ts'

/** Every check must fail on a log or a state that breaks what it stands for: here they are broken one by one. */

const day = 19_732
let driver: TopologyDriver
let store: MemoryStateStore

beforeEach(async () => {
  await driver?.close()
  driver = await TopologyDriver.open({ partitions: 1, settings: { maxStepRecords: 5, deadLetterShare: 1 } })
  const { publisher } = driver
  await publisher.programme()
  await publisher.model('1')
  await publisher.cutPoints([30], [1], [5_000])
  await publisher.day(day)
  const sales = Array.from({ length: 12 }, (_, i) =>
    sale(`c${i % 4}`, { transaction_id: `s${i}`, amount_minor: 100 * (i + 1), batch_id: `b${i % 2}` }),
  )
  await publisher.transactions([
    ...sales,
    sales[3]!,
    { ...sales[2]!, amount_minor: 7 },
    sale('c1', { transaction_id: 'r', kind: 'REFUND', amount_minor: 150, original_transaction_id: 's1' }),
    sale('c0', { transaction_id: 'v', kind: 'VOID', amount_minor: 0, original_transaction_id: 's0' }),
    sale('c3', { currency: 'USD' }),
  ])
  store = new MemoryStateStore()
  const worker = await driver.startWorker({ stores: new Map([[0, store]]) })
  await driver.settled(worker)
  await publisher.day(day + 200)
  await driver.settled(worker)
  await worker.close()
})

afterAll(() => driver.close())

function check() {
  return checkInvariants(driver, new Map([[0, store]]))
}

type Output = 'accepted' | 'clientState' | 'clientReclassified' | 'deadLetters'

/** The records themselves: what is done to the list is done to the log. */
function recordsOf(output: Output): LogRecord[] {
  return driver.log.broker.partition(driver.topics[output], 0).records
}

function remove(output: Output, index: number): void {
  recordsOf(output).splice(index, 1)
}

function repeat(output: Output, index: number): void {
  const records = recordsOf(output)
  records.splice(index + 1, 0, records.at(index)!)
}

type Change<Event> = (event: Event) => Event

async function rewrite<N extends 'ClientStateChanged' | 'ClientReclassified'>(
  output: Output,
  name: N,
  change: (event: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>,
): Promise<void> {
  const records = recordsOf(output)
  const record = records.at(-1)!
  const decoded = await decoderOf(driver.registry, 'ClientStateChanged', 'ClientReclassified').read(record.value)
  const id = await driver.registry.idOf(name)
  if (decoded.kind !== 'ok') throw new Error('not to be decoded')
  const value =
    decoded.name === 'ClientStateChanged'
      ? new EventEncoder('ClientStateChanged', id).encode({ ...decoded.event, ...change({ ...decoded.event }) })
      : new EventEncoder('ClientReclassified', id).encode({ ...decoded.event, ...change({ ...decoded.event }) })
  records.splice(-1, 1, { ...record, value })
}

/** Changes the first block that `change` changes anything of, and its position where that is given. */
async function rewriteBlock(
  change: Change<TransactionsAccepted>,
  move: Change<TaskPosition> = (position) => position,
): Promise<void> {
  const records = recordsOf('accepted')
  const decoder = decoderOf(driver.registry, 'TransactionsAccepted')
  const encoder = new EventEncoder('TransactionsAccepted', await driver.registry.idOf('TransactionsAccepted'))
  for (const [index, record] of records.entries()) {
    const block = eventOf(await decoder.read(record.value))
    const position = decodePosition(record.headers)
    const [changed, moved] = [change(block), move(position)]
    if (changed === block && moved === position) continue
    const headers = { ...record.headers, [positionHeader]: encodePosition(moved) }
    records[index] = { ...record, value: encoder.encode(changed), headers }
    return
  }
  throw new Error('no block was changed')
}

function withFacts(change: Change<TransactionsAccepted['facts']>): Change<TransactionsAccepted> {
  return (block) => (block.facts.length < 2 ? block : { ...block, facts: change(block.facts) })
}

async function restore(change: (meta: StoredMeta) => Partial<StoredMeta>): Promise<void> {
  const meta = decodeMeta(store.meta())!
  await store.commit([], encodeMeta({ ...meta, ...change(meta) }))
}

test('what a run leaves behind is in order', async () => {
  expect(await check()).toMatchObject({ accepted: 14, duplicates: 1, dead: 2, countSum: 11, netSum: 7_550 })
  await checkStores(driver, new Map([[0, store]]), { caughtUp: true })
})

const broken: Readonly<Record<string, readonly [doctor: () => unknown, complaint: RegExp]>> = {
  '1: stored state is ahead of the last block': [
    () => restore(({ transactions }) => ({ transactions: transactions + 1 })),
    /ahead of the last block/,
  ],
  '1: stored state is of a step that never became visible': [
    () => restore(() => ({ attempt: 'never' })),
    /stored state is of step never/,
  ],
  '1: a stored ledger lacks a transaction': [
    () => restore(({ transactions }) => ({ transactions: transactions - 2, attempt: '' })),
    /stored ledger of c/,
  ],
  '2: a row is missing': [() => remove('clientState', 1), /versions of/],
  '2: a row is repeated': [() => repeat('clientState', -1), /versions of/],
  '2: a reclassification is missing': [() => remove('clientReclassified', 0), /segment of .* before/],
  '2: a reclassification is repeated': [() => repeat('clientReclassified', -1), /segment of .* before/],
  '2: the last reclassification is missing': [() => recordsOf('clientReclassified').pop(), /last segment of/],
  '2: a reclassification leads elsewhere than its row': [
    () => rewrite('clientReclassified', 'ClientReclassified', () => ({ after: 'champions' })),
    /last segment of/,
  ],
  '3: a fact has another effect': [
    () =>
      rewriteBlock(
        withFacts(([first, ...others]) => [{ ...first!, net_effect_minor: first!.net_effect_minor + 1 }, ...others]),
      ),
    /effects in blocks are those of the ledgers/,
  ],
  '3: an effect on another transaction is missing': [
    () => rewriteBlock((block) => (block.adjustments.length === 0 ? block : { ...block, adjustments: [] })),
    /effects in blocks are those of the ledgers/,
  ],
  '3: an effect is on another transaction than it should be, with the same sums': [
    () =>
      rewriteBlock(
        withFacts(([first, second, ...others]) => [
          { ...first!, client_id: second!.client_id, transaction_key: second!.transaction_key },
          { ...second!, client_id: first!.client_id, transaction_key: first!.transaction_key },
          ...others,
        ]),
      ),
    /effects in blocks are those of the ledgers/,
  ],
  '4: a row says something else than its ledger': [
    () => rewrite('clientState', 'ClientStateChanged', ({ frequency }) => ({ frequency: Number(frequency) + 1 })),
    /is evaluate\(ledger, context\)/,
  ],
  '5: a block is missing': [() => remove('accepted', 1), /steps follow one another/],
  '5: the first block is missing': [() => remove('accepted', 0), /steps follow one another/],
  '5: a block is repeated': [() => repeat('accepted', 1), /steps follow one another/],
  '5: a block covers offsets of the one before': [
    () => rewriteBlock((block) => (block.step < 3 ? block : { ...block, from_offset: block.from_offset - 1 })),
    /no gap and do not overlap/,
  ],
  '5: a block leaves out offsets': [
    () => rewriteBlock((block) => (block.step < 3 ? block : { ...block, from_offset: block.from_offset + 1 })),
    /no gap and do not overlap/,
  ],
  '5: a part of a block is missing': [
    () =>
      rewriteBlock(
        (block) => ({ ...block, parts: 2 }),
        (position) => ({ ...position, parts: 2 }),
      ),
    /parts of a block|parts are whole/,
  ],
  '5: a block is of another task': [() => rewriteBlock((block) => ({ ...block, task: 1 })), /of the task/],
  '5: the blocks end before the input': [() => driver.publisher.transactions([sale('c0')]), /offset 17 is in no block/],
  '6: an accepted transaction is in no block': [
    () => rewriteBlock(withFacts(([, ...others]) => others)),
    /facts are the transactions that counted/,
  ],
  '6: a transaction is in a block twice': [
    () => rewriteBlock(withFacts((facts) => [...facts, facts.at(-1)!])),
    /facts are the transactions that counted/,
  ],
  '6: a fact lies outside its block': [
    () => rewriteBlock(withFacts(([first, ...others]) => [{ ...first!, offset: 99 }, ...others])),
    /99 is not in/,
  ],
  '6: a dead letter is missing': [() => remove('deadLetters', 0), /in dead letters|dead letters are those/],
  '6: a dead letter is there twice': [() => repeat('deadLetters', 0), /went to dead letters twice/],
  '6: a dead letter gives another reason': [
    () => {
      const [record] = recordsOf('deadLetters')
      const letter = decodeDeadLetterHeaders(record!.headers)
      recordsOf('deadLetters')[0] = { ...record!, headers: encodeDeadLetterHeaders({ ...letter, reason: 'invalid' }) }
    },
    /reason for offset/,
  ],
  '6: a dead letter has lost its bytes': [
    () => {
      recordsOf('deadLetters')[0] = { ...recordsOf('deadLetters')[0]!, value: Buffer.from('x') }
    },
    /deep/i,
  ],
  '6: an accepted transaction is in dead letters as well': [
    () => {
      const [record] = recordsOf('deadLetters')
      const letter = decodeDeadLetterHeaders(record!.headers)
      recordsOf('deadLetters').push({ ...record!, headers: encodeDeadLetterHeaders({ ...letter, offset: 0 }) })
    },
    /dead letters are those of the blocks/,
  ],
  '6: a block lists an offset as dead twice': [
    () =>
      rewriteBlock(
        (block) => block,
        (position) =>
          position.dead.length === 0 ? position : { ...position, dead: [...position.dead, ...position.dead] },
      ),
    /is dead twice/,
  ],
  '6: an upload batch is counted wrongly': [
    () =>
      rewriteBlock((block) => {
        const [first, ...others] = block.batches
        if (first === undefined) return block
        return { ...block, batches: [{ ...first, accepted: first.accepted + 1 }, ...others] }
      }),
    /counts per upload batch/,
  ],
  '6: a duplicate is counted for another day': [
    () =>
      rewriteBlock((block) => {
        const [first, ...others] = block.repeats
        if (first === undefined) return block
        return { ...block, repeats: [{ ...first, day: first.day + 1 }, ...others] }
      }),
    /transactions that came again/,
  ],
}

test.each(Object.entries(broken))('invariant %s: noticed', async (_name, [doctor, complaint]) => {
  await doctor()
  await expect(check()).rejects.toThrow(complaint)
})

test.each([
  ['ahead', (meta: StoredMeta) => ({ transactions: meta.transactions + 1 }), /ahead of the last block/],
  ['behind after a clean end', () => ({ transactions: 5, attempt: '' }), /has caught up/],
])('a store that is %s is noticed by itself', async (_name, change, complaint) => {
  await restore(change)
  await expect(checkStores(driver, new Map([[0, store]]), { caughtUp: true })).rejects.toThrow(complaint)
})

test('a stored row that is not the one in the log is noticed', async () => {
  await rewrite('clientState', 'ClientStateChanged', ({ stores }) => ({ stores: Number(stores) + 1 }))
  await expect(checkStores(driver, new Map([[0, store]]), { caughtUp: true })).rejects.toThrow(/stored row of/)
})
