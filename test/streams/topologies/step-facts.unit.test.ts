import { expect, test } from 'vitest'
import { BlockEncoder } from '#schemas/block.ts'
import { eventType, frameLength } from '#schemas/codec.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionsAccepted } from '#schemas/events.ts'
import { ScannedTransaction, scan } from '#schemas/transaction-scan.ts'
import { StepFacts } from '#streams/topologies/step-facts.ts'

const encoder = new EventEncoder('TransactionRecorded', 1)

function transactionOf(batch_id: string | null, store_id: string | null = null): ScannedTransaction {
  const transaction = new ScannedTransaction()
  const receipt = { transaction_id: 't', client_id: 'c', kind: 'SALE', occurred_at: 1e12, amount_minor: 1 } as const
  scan(encoder.encode({ ...receipt, currency: 'RUB', source: 'pos:front', batch_id, store_id }), transaction)
  return transaction
}

test('records are counted for their own batch, whatever came before, an empty name among them', () => {
  const facts = new StepFacts(new BlockEncoder(1))
  for (const batch of ['upload-1', '', '', 'upload-1', null, 'upload-2', 'партия', 'upload-1'])
    facts.countScanned(transactionOf(batch), 'accepted')
  facts.countScanned(transactionOf('upload-2'), 'duplicates')
  facts.count('upload-2', 'dead')
  facts.count(null, 'dead')
  const [value] = facts.render(0, { step: 1, fromOffset: 0, toOffset: 8 })
  const block = eventType('TransactionsAccepted').fromBuffer(value!.subarray(frameLength)) as TransactionsAccepted
  expect(block.batches.map((counts) => ({ ...counts }))).toEqual([
    { batch_id: 'upload-1', accepted: 3, duplicates: 0, dead: 0 },
    { batch_id: '', accepted: 2, duplicates: 0, dead: 0 },
    { batch_id: 'upload-2', accepted: 1, duplicates: 1, dead: 1 },
    { batch_id: 'партия', accepted: 1, duplicates: 0, dead: 0 },
  ])
})

test('repetitions are counted by batch, store and day, and an empty text is none', () => {
  const facts = new StepFacts(new BlockEncoder(1))
  const came: [string | null, string | null, number][] = [
    ['b1', 's1', 10],
    ['b1', 's1', 10],
    ['b1', 's1', 11],
    ['b1s', '1', 10],
    [null, null, 10],
    ['', '', 10],
    [null, 'b1', 10],
  ]
  for (const [batch, store, day] of came) facts.repeat(transactionOf(batch, store), day)
  const [value] = facts.render(0, { step: 1, fromOffset: 0, toOffset: 7 })
  const block = eventType('TransactionsAccepted').fromBuffer(value!.subarray(frameLength)) as TransactionsAccepted
  expect(block.repeats.map((counts) => ({ ...counts }))).toEqual([
    { batch_id: 'b1', store_id: 's1', day: 10, repeats: 2 },
    { batch_id: 'b1', store_id: 's1', day: 11, repeats: 1 },
    { batch_id: 'b1s', store_id: '1', day: 10, repeats: 1 },
    { batch_id: null, store_id: null, day: 10, repeats: 2 },
    { batch_id: null, store_id: 'b1', day: 10, repeats: 1 },
  ])
})
