import { largestTransactionValue } from '#schemas/dead-letter.ts'
import type { EventEncoder } from '#schemas/encoder.ts'
import type { RecordOf } from '../tills/door.ts'
import { profileOf } from './item.ts'

/** Master data of clients as records of `loyalty.clients`, each the whole of what is known of its client. */
export function clientRecords(encoder: EventEncoder<'ClientProfileChanged'>): RecordOf {
  return (item, principal) => {
    const event = profileOf(item, `pos:${principal.system.system}`)
    if ('code' in event) return event
    const value = encoder.encode(event)
    if (value.length <= largestTransactionValue)
      return { key: Buffer.from(event.client_id), value, id: event.client_id }
    const message = `the client takes ${value.length} bytes as an event, at most ${largestTransactionValue} are allowed`
    return { code: 'too_large', field: null, message }
  }
}
