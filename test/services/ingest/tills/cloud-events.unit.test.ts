import { describe, expect, test } from 'vitest'
import { itemOfEvent, itemOfHeaders, transactionEventType } from '#services/ingest/tills/cloud-events.ts'
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
    ['with bytes', event({ data: undefined, data_base64: 'AAAA' }), 'data_base64'],
  ])('%s is refused', (_, value, field) => {
    const item = itemOfEvent(value, transactionEventType)
    expect(item).toBeInstanceOf(RefusedItem)
    expect(item).toMatchObject({ rejection: { code: 'bad_event', field, message: expect.stringMatching(/\S{4}/) } })
  })

  test.each([[null], [[1]], ['text'], [{ attributes: 'x' }]])(
    'leaves data that is no transaction as it is: %j',
    (data) => {
      expect(itemOfEvent(event({ data }), transactionEventType)).toEqual(data)
    },
  )
})
