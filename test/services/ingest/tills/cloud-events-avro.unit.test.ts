import avro from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodersOf } from '#schemas/encoder.ts'
import { registerAll } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { avroItems } from '#services/ingest/tills/avro-items.ts'
import { transactionEventType } from '#services/ingest/tills/cloud-events.ts'
import { itemOfAvro } from '#services/ingest/tills/cloud-events-avro.ts'
import { RefusedItem } from '#services/ingest/tills/rejection.ts'
import { MemoryRegistry } from '../../../support/memory-registry.ts'
import { tillSale } from './support.ts'

/** The record that the specification of the Avro format gives, with the JSON values of `data` left to one level. */
const envelope = avro.Type.forSchema(
  {
    type: 'record',
    name: 'AvroCloudEvent',
    fields: [
      { name: 'attribute', type: { type: 'map', values: ['null', 'boolean', 'int', 'string', 'bytes'] } },
      {
        name: 'data',
        type: [
          'bytes',
          'null',
          'boolean',
          { type: 'map', values: ['null', 'string'] },
          { type: 'array', items: 'string' },
          'double',
          'string',
        ],
      },
    ],
  } as never,
  { wrapUnions: 'always' },
)

const registry = new MemoryRegistry()
const encoders = encodersOf(await registerAll(registry, topicsOf('t'), ['TransactionRecorded']))
const kind = {
  eventType: transactionEventType,
  ofAvro: avroItems(registry, 'TransactionRecorded', ['source', 'batch_id']),
}
const attribute = {
  specversion: { string: '1.0' },
  id: { string: 'e-1' },
  source: { string: '/stores/12' },
  type: { string: transactionEventType },
  sampled: { int: -70_000 },
  urgent: { boolean: true },
  nothing: null,
  stamp: { bytes: Buffer.from([1, 2]) },
}

const encoded = (data: unknown, more: Record<string, unknown> = {}) =>
  envelope.toBuffer({ attribute: { ...attribute, ...more }, data })
const read = (bytes: Buffer) => itemOfAvro(bytes, kind)

const recorded = encoders.TransactionRecorded.encode({
  transaction_id: 't-1',
  client_id: 'c1',
  kind: 'SALE',
  occurred_at: Date.UTC(2011, 2, 1),
  amount_minor: 1_250,
  currency: 'GBP',
  source: 'pos:whoever',
  batch_id: 'forged',
})

describe('an event in the Avro format', () => {
  test.each([
    ['bytes', { bytes: Buffer.from(JSON.stringify(tillSale())) }],
    ['text', { string: JSON.stringify(tillSale()) }],
  ])('carries JSON as %s', async (_, data) => {
    const attributes = { ce_id: 'e-1', ce_source: '/stores/12' }
    expect(await read(encoded(data))).toEqual({ ...tillSale(), attributes })
    const typed = { datacontenttype: { string: 'application/json; charset=utf-8' } }
    expect(await read(encoded(data, typed))).toEqual({ ...tillSale(), attributes })
  })

  test('carries an event of the platform, but for what is not the sender’s to say', async () => {
    const item = await read(encoded({ bytes: recorded }, { datacontenttype: { string: 'application/avro' } }))
    expect(item).toMatchObject({ transaction_id: 't-1', amount_minor: 1_250, attributes: { ce_id: 'e-1' } })
    expect(item).not.toHaveProperty('source')
    expect(item).not.toHaveProperty('batch_id')
  })

  const unknown = Buffer.from(recorded)
  unknown.writeInt32BE(999, 1)
  const inAvro = { datacontenttype: { string: 'application/avro' } }
  test.each<[string, Buffer, string | null]>([
    ['that is empty', Buffer.alloc(0), null],
    ['that is JSON', Buffer.from('{"specversion":"1.0"}'), null],
    ['with bytes behind it', Buffer.concat([encoded(null), Buffer.from([0])]), null],
    ['that announces 2^31 attributes', Buffer.from([0xfe, 0xff, 0xff, 0xff, 0x0f]), null],
    ['with a map of values', encoded({ map: { a: { string: 'b' } } }), null],
    ['without data', encoded(null), 'data'],
    ['whose data is no JSON', encoded({ string: '{' }), 'data'],
    ['whose data is XML', encoded({ string: '<a/>' }, { datacontenttype: { string: 'text/xml' } }), 'datacontenttype'],
    ['of another type', encoded({ string: '{}' }, { type: { string: 'x' } }), 'type'],
    ['without an id', encoded({ string: '{}' }, { id: null }), 'id'],
    ['with Avro of an unknown schema', encoded({ bytes: unknown }, inAvro), 'data'],
    ['with Avro that is cut off', encoded({ bytes: recorded.subarray(0, 20) }, inAvro), 'data'],
    ['with Avro without the id of a schema', encoded({ bytes: recorded.subarray(5) }, inAvro), 'data'],
    ['with Avro as text', encoded({ string: 'x' }, inAvro), 'data'],
  ])('%s is refused', async (_, bytes, field) => {
    const item = await read(bytes)
    expect(item).toBeInstanceOf(RefusedItem)
    expect(item).toMatchObject({ rejection: { code: 'bad_event', field } })
  })

  test('cut or changed anywhere is read or refused, and never more', async () => {
    const good = encoded({ bytes: recorded }, inAvro)
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length), fc.nat(255), fc.boolean(), async (at, byte, cut) => {
        const bytes = Buffer.from(cut ? good.subarray(0, at) : good)
        if (!cut && at < bytes.length) bytes[at] = byte
        const item = await read(bytes)
        if (cut && at < good.length) expect(item).toBeInstanceOf(RefusedItem)
      }),
      { numRuns: 500 },
    )
  })
})
