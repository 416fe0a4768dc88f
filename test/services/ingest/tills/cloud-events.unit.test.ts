import { describe, expect, test } from 'vitest'
import {
  itemOfEvent,
  itemOfHeaders,
  itemOfStructured,
  transactionEventType,
} from '#services/ingest/tills/cloud-events.ts'
import { RefusedItem } from '#services/ingest/tills/rejection.ts'
import { tillSale } from './support.ts'

function event(changes: Record<string, unknown> = {}) {
  return {
    specversion: '1.0',
    id: 'e-1',
    source: '/stores/12',
    type: transactionEventType,
    data: tillSale(),
    ...changes,
  }
}

describe('a CloudEvent', () => {
  test('carries a transaction, whose attributes keep its id and source', () => {
    const data = tillSale({ attributes: { cashier: '7' } })
    const whole = event({
      data,
      time: '2011-03-01T12:30:01Z',
      datacontenttype: 'application/json; charset=utf-8',
      x: 1,
    })
    expect(itemOfEvent(whole, transactionEventType)).toEqual({
      ...data,
      attributes: { cashier: '7', ce_id: 'e-1', ce_source: '/stores/12' },
    })
  })

  test('of binary mode has its attributes in headers, percent-encoded', () => {
    const headers: Record<string, string> = {
      'ce-specversion': '1.0',
      'ce-id': 'e%2D1%20%D0%B0',
      'ce-source': '/100%',
      'ce-type': transactionEventType,
    }
    expect(itemOfHeaders(tillSale(), (name) => headers[name], transactionEventType)).toMatchObject({
      attributes: { ce_id: 'e-1 а', ce_source: '/100%' },
    })
    const { 'ce-id': _, ...without } = headers
    expect(itemOfHeaders(tillSale(), (name) => without[name], transactionEventType)).toMatchObject({
      rejection: { code: 'bad_event', field: 'id' },
    })
  })

  test.each<[string, unknown, string | null]>([
    ['that is no object', 'text', null],
    ['of another version', event({ specversion: '0.3' }), 'specversion'],
    ['without id', event({ id: '' }), 'id'],
    ['without source', event({ source: undefined }), 'source'],
    ['of another type', event({ type: 'com.platform.payment.refund.processed.v1' }), 'type'],
    ['at a local time', event({ time: '2011-03-01T12:30:01' }), 'time'],
    ['with XML', event({ datacontenttype: 'text/xml' }), 'datacontenttype'],
  ])('%s is refused', (_, value, field) => {
    const item = itemOfEvent(value, transactionEventType)
    expect(item).toBeInstanceOf(RefusedItem)
    expect(item).toMatchObject({ rejection: { code: 'bad_event', field, message: expect.stringMatching(/\S{4}/) } })
  })

  const kind = { eventType: transactionEventType, ofAvro: async (value: Uint8Array) => ({ avro: [...value] }) }
  const { data: sale, ...envelope } = event()
  const bytes = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64')
  const origin = { ce_id: 'e-1', ce_source: '/stores/12' }

  test('may have its data as bytes: JSON, or an event in Avro; null says the same as nothing', async () => {
    const structured = (changes: object) => itemOfStructured({ ...envelope, ...changes }, kind)
    const taken = { ...(sale as object), attributes: origin }
    expect(await structured({ data_base64: bytes(sale) })).toEqual(taken)
    expect(await structured({ data: sale, data_base64: null, time: null, datacontenttype: null })).toEqual(taken)
    expect(await structured({ data_base64: 'AAEC', datacontenttype: 'application/avro' })).toEqual({
      avro: [0, 1, 2],
      attributes: origin,
    })
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['neither data nor bytes', {}, 'data'],
    ['both', { data: sale, data_base64: bytes(sale) }, 'data_base64'],
    ['bytes that are no base64', { data_base64: '{}' }, 'data_base64'],
    ['bytes that are no JSON', { data_base64: 'AAEC' }, 'data'],
    ['bytes of another type', { data_base64: 'AAEC', datacontenttype: 'text/xml' }, 'datacontenttype'],
  ])('with %s is refused', async (_, changes, field) => {
    const item = await itemOfStructured({ ...envelope, ...changes }, kind)
    expect(item).toMatchObject({ rejection: { code: 'bad_event', field } })
  })

  test.each([[null], [[1]], ['text'], [{ attributes: 'x' }]])(
    'leaves data that is no transaction as it is: %j',
    (data) => {
      expect(itemOfEvent(event({ data }), transactionEventType)).toEqual(data)
    },
  )
})
