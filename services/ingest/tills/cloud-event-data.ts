import { messageOf } from '#streams/core/error.ts'
import { RefusedItem } from './rejection.ts'

export interface EventKind {
  /** `type` that is expected. */
  readonly eventType: string
  /** Reads data that is an event of the platform itself: Avro with the id of its schema in front. */
  readonly ofAvro: (value: Uint8Array) => Promise<unknown>
}

/** What the data of an event is, by its `datacontenttype`; or why it is nothing. Errors: those of `ofAvro`. */
export async function dataOf(data: Buffer | string | null, type: string, kind: EventKind): Promise<unknown> {
  if (data === null) return refused('data', 'data is missing')
  if (/^(application\/avro|avro\/binary)\s*(;.*)?$/i.test(type))
    return typeof data === 'string' ? refused('data', `data of ${type} must be bytes`) : kind.ofAvro(data)
  if (!/^application\/([\w.-]+\+)?json\s*(;.*)?$/i.test(type))
    return refused('datacontenttype', 'datacontenttype must be application/json or application/avro')
  try {
    return JSON.parse(typeof data === 'string' ? data : data.toString())
  } catch (cause) {
    return refused('data', `data is no JSON: ${messageOf(cause)}`)
  }
}

function refused(field: string, message: string): RefusedItem {
  return new RefusedItem({ code: 'bad_event', field, message })
}
