import { largestTransactionValue } from '#schemas/dead-letter.ts'
import type { EventEncoder } from '#schemas/encoder.ts'
import type { Generations } from '../undo/generations.ts'
import type { RecordOf } from './door.ts'
import { judge } from './verdict.ts'

/** Transactions of tills as records of `loyalty.transactions`; their ids are those of the programme. */
export function transactionRecords(
  encoder: EventEncoder<'TransactionRecorded'>,
  generations?: Generations | undefined,
): RecordOf {
  return (item, principal, programme) => {
    const judged = judge(item, principal, programme)
    if ('code' in judged) return judged
    // Receipts that were taken back with an upload count again, as they do when they come by a file: under their next id.
    const event = generations === undefined ? judged : generations.inForce(judged)
    const value = encoder.encode(event)
    if (value.length <= largestTransactionValue)
      return { key: Buffer.from(event.client_id), value, id: event.transaction_id }
    const message = `the transaction takes ${value.length} bytes as an event, at most ${largestTransactionValue} are allowed`
    return { code: 'too_large', field: null, message }
  }
}
