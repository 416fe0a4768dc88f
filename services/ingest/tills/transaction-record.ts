import { largestTransactionValue } from '#schemas/dead-letter.ts'
import type { EventEncoder } from '#schemas/encoder.ts'
import type { RecordOf } from './door.ts'
import { judge } from './verdict.ts'

/** Transactions of tills as records of `loyalty.transactions`; their ids are those of the programme. */
export function transactionRecords(encoder: EventEncoder<'TransactionRecorded'>): RecordOf {
  return (item, principal, programme) => {
    const event = judge(item, principal, programme)
    if ('code' in event) return event
    const value = encoder.encode(event)
    if (value.length <= largestTransactionValue)
      return { key: Buffer.from(event.client_id), value, id: event.transaction_id }
    const message = `the transaction takes ${value.length} bytes as an event, at most ${largestTransactionValue} are allowed`
    return { code: 'too_large', field: null, message }
  }
}
