import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { EventEncoder } from '#schemas/encoder.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { Judge, type JudgeDeps, type Verdict } from '#services/ingest/dead-letters/judge.ts'
import { LetterReader } from '#services/ingest/dead-letters/letter.ts'
import { type MendingRule, parseRule } from '#services/ingest/dead-letters/rule.ts'
import { Generations } from '#services/ingest/undo/generations.ts'
import { receiptKey } from '#services/ingest/undo/receipt-key.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { NewRecord } from '#streams/log/log.ts'
import { MemoryLog } from '../../../support/memory-log.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { tempDir } from '../../../support/temp-dir.ts'
import { letterOf, saleOf } from './support.ts'

const topics = topicsOf('loyalty')
const programme = { currency: 'GBP', partitions: 4 }
let registry: MemoryRegistry
let log: MemoryLog
let encoder: EventEncoder<'TransactionRecorded'>

beforeEach(async () => {
  registry = new MemoryRegistry()
  log = new MemoryLog()
  await log.admin.ensureTopics(topicSpecs(topics, 4))
  encoder = new EventEncoder('TransactionRecorded', await registry.idOf('TransactionRecorded'))
})

async function judged(
  { key, value, headers = {} }: NewRecord,
  rule: MendingRule | null = null,
  { generations, undone }: Pick<JudgeDeps, 'generations' | 'undone'> = {},
): Promise<Verdict> {
  const record = { offset: 3, timestampMs: 0, key, value, headers }
  const letter = await new LetterReader(registry).read(record, 1)
  return new Judge({ log, registry, encoder, programme, rule, generations, undone }).judge(letter!)
}

const encoded = (changes: Parameters<typeof saleOf>[0] = {}) => Buffer.from(encoder.encode(saleOf(changes)))
const inGbp = parseRule({ set: { currency: 'GBP' } })

describe('a letter', () => {
  test('is replayed under the key of its client, in the partition of that', async () => {
    const value = encoded({ client_id: 'old' })
    const letter = letterOf('wrong_partition', value, { key: Buffer.from('old') })
    expect(await judged(letter)).toMatchObject({ kind: 'replay', partition: partitionOf(Buffer.from('old'), 4), value })
    const verdict = await judged(letter, parseRule({ map_client: { old: 'new-client' } }))
    const key = Buffer.from('new-client')
    expect(verdict).toMatchObject({ kind: 'replay', key, partition: partitionOf(key, 4) })
  })

  test('whose key is not its client is set right only when that is said', async () => {
    const letter = letterOf('invalid', encoded({ client_id: 'c2', currency: 'EUR' }), { key: Buffer.from('c9') })
    expect(await judged(letter, inGbp)).toMatchObject({ why: 'still_invalid', reason: 'invalid' })
    const both = parseRule({ set: { currency: 'GBP' }, rekey: true })
    expect(await judged(letter, both)).toMatchObject({ kind: 'replay', key: Buffer.from('c2') })
    const without = { ...letter, key: null }
    expect(await judged(without, both)).toMatchObject({ kind: 'replay', key: Buffer.from('c2') })
    expect(await judged(without, inGbp)).toMatchObject({ why: 'still_invalid' })
  })

  test('stays where the rule changes nothing in it, also where it would pass by now', async () => {
    expect(await judged(letterOf('unknown_schema', encoded()), inGbp)).toMatchObject({ why: 'untouched' })
    expect(await judged(letterOf('unknown_schema', encoded()))).toMatchObject({
      kind: 'replay',
      schemaWasUnknown: true,
    })
  })

  test('is judged by the door of the stream', async () => {
    const of = async (changes: Parameters<typeof saleOf>[0]) =>
      judged(letterOf('wrong_currency', encoded(changes)), inGbp)
    expect(await of({ currency: 'EUR', amount_minor: -1 })).toMatchObject({ reason: 'invalid' })
    expect(await of({ currency: 'EUR', transaction_id: '' })).toMatchObject({ reason: 'invalid' })
    expect(await judged(letterOf('wrong_currency', encoded({ currency: 'EUR' })))).toMatchObject({
      ...{ why: 'still_invalid', reason: 'wrong_currency' },
    })
    expect(await judged(letterOf('undecodable', Buffer.from('junk')), inGbp)).toMatchObject({ reason: 'undecodable' })
    expect(await judged(letterOf('undecodable', null), inGbp)).toMatchObject({ reason: 'undecodable' })
    const unknown = encoded()
    unknown.writeUInt32BE(77, 1)
    expect(await judged(letterOf('unknown_schema', unknown))).toMatchObject({ reason: 'unknown_schema' })
    expect(await judged(letterOf('unknown_schema', unknown), inGbp)).toMatchObject({ reason: 'unknown_schema' })
  })

  test('with an amount that the rule makes too large for a transaction stays', async () => {
    const letter = letterOf('wrong_currency', encoded({ currency: 'EUR', amount_minor: 2 ** 52 }))
    const rule = parseRule({ accept_currency: { currency: 'EUR', rate: '1000' } })
    expect(await judged(letter, rule)).toMatchObject({
      ...{ why: 'still_invalid', reason: 'invalid' },
      detail: 'amount_minor 4503599627370496 in EUR would be too large in GBP at 1000',
    })
    const line = { sku: 'a', description: null, category: null, quantity: 1, amount_minor: 2 ** 52 }
    const ofLine = letterOf('wrong_currency', encoded({ currency: 'EUR', lines: [line] }))
    expect(await judged(ofLine, rule)).toMatchObject({ detail: expect.stringContaining('the amount of a line in EUR') })
  })

  test('in conflict can only be discarded; one beyond the ledger is not replayed as it is', async () => {
    expect(await judged(letterOf('conflicting_duplicate', encoded()), inGbp)).toMatchObject({ why: 'discard_only' })
    const beyond = letterOf('beyond_ledger', encoded({ kind: 'REFUND', original_transaction_id: 'pos:i=0' }))
    expect(await judged(beyond)).toMatchObject({ why: 'still_invalid', reason: 'beyond_ledger' })
    const alone = parseRule({ set: { original_transaction_id: null } })
    expect(await judged(beyond, alone)).toMatchObject({ kind: 'replay' })
  })

  test('that was cut is mended from its original, while that is there', async () => {
    const lines = [{ sku: 'x'.repeat(1_100_000), quantity: 1, amount_minor: 1, description: null, category: null }]
    const value = encoded({ lines })
    const key = Buffer.from('c1')
    await log.admin.ensureTopics([{ topic: 'wide', partitions: 1, compacted: false, maxRecordBytes: 4_000_000 }])
    const offset = await log.writer().append('wide', 0, [{ key, value }])
    const withoutLines = parseRule({ set: { lines: [] } })
    const letter = letterOf('too_large', value, { topic: 'wide', partition: 0, offset, key })
    expect(letter.value!.length).toBeLessThan(value.length)
    expect(await judged(letter)).toMatchObject({ why: 'still_invalid', reason: 'too_large' })
    expect(await judged(letter, withoutLines)).toMatchObject({ kind: 'replay', value: encoded({ lines: [] }) })
    const gone = letterOf('too_large', value, { topic: 'wide', partition: 0, offset: offset + 5, key })
    expect(await judged(gone, withoutLines)).toMatchObject({ why: 'original_gone' })
  })

  test('under a wrong schema id is read by the one that the rule names, and stays as it was written', async () => {
    const right = encoded()
    const wrong = Buffer.from(right)
    wrong.writeUInt32BE(await registry.register('probe', '{"type":"int"}'), 1)
    const letter = letterOf('undecodable', wrong)
    const rule = parseRule({ schema_id: encoder.schemaId })
    expect(await judged(letter, rule)).toMatchObject({ kind: 'replay', value: right, schemaWasUnknown: false })
  })
})

test('a letter whose receipt was taken back meanwhile goes through under the id that counts now', async () => {
  const dir = await tempDir('loyalty-judge-')
  onTestFinished(() => dir.remove())
  const generations = await Generations.open(dir.path)
  const key = { hi: 0, lo: 0 }
  receiptKey('c1', 'pos:i=1', key)
  await generations.install('undo', new BigUint64Array([(BigInt(key.hi) << 32n) | BigInt(key.lo)]))
  const again = encoded({ transaction_id: 'pos:i=1:g=1' })
  const euros = letterOf('wrong_currency', encoded({ currency: 'EUR' }))
  expect(await judged(euros, inGbp, { generations })).toMatchObject({ kind: 'replay', value: again })
  const conflict = letterOf('conflicting_duplicate', encoded())
  expect(await judged(conflict, null, { generations })).toMatchObject({ kind: 'replay', value: again })
  const refund = { transaction_id: 'pos:i=2', kind: 'REFUND', original_transaction_id: 'pos:i=1' } as const
  expect(
    await judged(letterOf('wrong_currency', encoded({ ...refund, currency: 'EUR' })), inGbp, { generations }),
  ).toMatchObject({ kind: 'replay', value: encoded({ ...refund, original_transaction_id: 'pos:i=1:g=1' }) })
  const other = letterOf('conflicting_duplicate', encoded({ transaction_id: 'pos:i=3' }))
  expect(await judged(other, null, { generations })).toMatchObject({ kind: 'left', why: 'discard_only' })
})

test('a letter of an upload that was taken back is there to be discarded only', async () => {
  const undone = new Set(['batch-1'])
  const letter = (batch_id: string) => letterOf('wrong_currency', encoded({ currency: 'EUR', batch_id }))
  expect(await judged(letter('batch-1'), inGbp, { undone })).toMatchObject({ kind: 'left', why: 'discard_only' })
  expect(await judged(letter('batch-2'), inGbp, { undone })).toMatchObject({ kind: 'replay' })
})
