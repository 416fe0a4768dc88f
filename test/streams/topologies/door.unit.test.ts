import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { eventType, frameLength, parseSchema, writeFrame } from '#schemas/codec.ts'
import { reducedDecoder } from '#schemas/decoder.ts'
import { type Encodable, EventEncoder } from '#schemas/encoder.ts'
import { forwardHeaders } from '#schemas/forward.ts'
import { schemaText } from '#schemas/published.ts'
import { textAt } from '#schemas/transaction-scan.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { entryOf, newEntry } from '#streams/domain/entry.ts'
import type { LogRecord } from '#streams/log/log.ts'
import { Door } from '#streams/topologies/door.ts'
import { takeIn } from '#streams/topologies/intake.ts'

type Recorded = Encodable<'TransactionRecorded'>

const schemaId = 1
const programme = { currency: 'RUB', partitions: 3 }
const encoder = new EventEncoder('TransactionRecorded', schemaId)
const type = eventType('TransactionRecorded')

async function decoderFor(writer: ReturnType<typeof parseSchema> = type) {
  const registry = { register: async () => schemaId, schemaById: async () => writer }
  const decoder = reducedDecoder(registry, 'TransactionRecorded', ['attributes'])
  await decoder.ensure(schemaId)
  return decoder
}

const decoder = await decoderFor()

const plain: Recorded = {
  transaction_id: 'pos:front:1',
  client_id: 'anna',
  kind: 'SALE',
  occurred_at: 1_700_000_000_000,
  amount_minor: 12_345,
  currency: 'RUB',
  source: 'pos:front',
}

const text = (maxLength = 12) =>
  fc.oneof(
    fc.string({ maxLength }),
    fc.string({ unit: 'grapheme', maxLength }),
    fc.constantFrom('', 'дом', 'a'.repeat(80)),
  )
const long = fc.oneof(
  fc.integer({ min: 0, max: 100_000 }),
  fc.integer({ min: -(2 ** 53) + 2, max: 2 ** 53 - 2 }),
  fc.constantFrom(0, -1, 2 ** 47 - 1, 2 ** 47, 2 ** 52, 2 ** 52 + 1),
)
const amount = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 100_000 }) }, { weight: 1, arbitrary: long })
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })

const transaction: fc.Arbitrary<Recorded> = fc.record({
  transaction_id: fc.oneof(
    { weight: 9, arbitrary: fc.string({ minLength: 1 }) },
    { weight: 1, arbitrary: text(1_100) },
  ),
  client_id: fc.oneof({ weight: 9, arbitrary: fc.string({ minLength: 1 }) }, { weight: 1, arbitrary: text(300) }),
  kind: fc.constantFrom('SALE', 'SALE', 'REFUND', 'VOID', 'UNKNOWN'),
  occurred_at: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1e12, max: 2e12 }) }, { weight: 1, arbitrary: long }),
  amount_minor: fc.oneof(amount, fc.constant(0)),
  currency: fc.oneof(
    { weight: 9, arbitrary: fc.constant('RUB') },
    { weight: 1, arbitrary: fc.constantFrom('', 'RU', 'EUR', 'рублей') },
  ),
  source: text(),
  store_id: orNull(text(70)),
  terminal_id: orNull(text()),
  receipt_number: orNull(text()),
  original_transaction_id: orNull(text()),
  payment_method: orNull(text()),
  batch_id: orNull(text()),
  items_count: fc.integer(),
  categories: fc.array(text(), { maxLength: 3 }),
  lines: fc.array(
    fc.record({
      sku: text(),
      description: orNull(text()),
      category: orNull(text()),
      quantity: fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(1, 0.345, Number.NaN, -0)),
      amount_minor: long,
    }),
    { maxLength: 3 },
  ),
  discount_minor: amount,
  bonus_earned_minor: amount,
  bonus_spent_minor: amount,
  attributes: fc.dictionary(fc.string(), text(), { maxKeys: 2 }),
})

function recordOf(value: Uint8Array, key: string | null): LogRecord {
  return { offset: 5, timestampMs: 0, key: key === null ? null : Buffer.from(key), value, headers: {} }
}

/** A whole number as Avro has it, of any size. */
function zigzag(value: number): Buffer {
  let left = value < 0 ? BigInt(value) * -2n - 1n : BigInt(value) * 2n
  const bytes: number[] = []
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128)
  return Buffer.from([...bytes, Number(left)])
}

/** The door says of a record what `takeIn` and `entryOf` say. */
function agree(record: LogRecord, readers = decoder, partition = record.key === null ? 0 : partitionOf(record.key, 3)) {
  const door = new Door(readers, partition)
  const turned = door.take(record, programme)
  const intake = takeIn(record, readers, programme, partition)
  if (intake.kind === 'refused') {
    expect(turned).toMatchObject({ outcome: intake.outcome, batchId: intake.batchId })
    return intake.outcome.kind
  }
  expect(turned).toBeNull()
  expect(door.entry).toEqual(entryOf(intake.transaction, newEntry()))
  const { bytes, clientAt, clientEnd, idAt, idEnd } = door.transaction
  expect(textAt(bytes, clientAt, clientEnd)).toBe(intake.event.client_id)
  expect(textAt(bytes, idAt, idEnd)).toBe(intake.event.transaction_id)
  return 'taken'
}

describe('the door of a task', () => {
  test('takes in what the rules take in, as the same entry, and refuses the rest for the same reasons', () => {
    const outcomes: Record<string, number> = {}
    const partition = fc.option(fc.nat(2), { nil: undefined })
    const check = (event: Recorded, at: number | undefined, marked: boolean) => {
      const record = recordOf(encoder.encode(event), event.client_id)
      const headers = marked ? { [forwardHeaders.partition]: Buffer.from('2') } : {}
      const outcome = agree({ ...record, headers }, decoder, at)
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
    fc.assert(fc.property(transaction, partition, fc.boolean(), check), { numRuns: 3_000 })
    expect(outcomes.taken).toBeGreaterThan(300)
    expect(outcomes.dead).toBeGreaterThan(300)
    expect(outcomes.forward).toBeGreaterThan(50)
  })

  test('builds no transaction for a record that is plainly valid, also beyond ASCII', () => {
    const readers = vi.spyOn(decoder, 'decode')
    const events: Recorded[] = [
      plain,
      { ...plain, kind: 'REFUND', original_transaction_id: 'чек 1', store_id: 'Невский, 1', categories: ['сыр'] },
      { ...plain, kind: 'VOID', amount_minor: 0, original_transaction_id: 'pos:front:1', attributes: { till: '4' } },
    ]
    for (const event of events) {
      const door = new Door(decoder, partitionOf(Buffer.from('anna'), 3))
      expect(door.take(recordOf(encoder.encode(event), 'anna'), programme)).toBeNull()
    }
    expect(readers).not.toHaveBeenCalled()
    readers.mockRestore()
  })

  test('says of damaged bytes what the decoder says', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(transaction, damage, fc.integer({ min: -3, max: 3 }), (event, changes, longer) => {
        const whole = encoder.encode(event)
        const value = Buffer.alloc(Math.max(0, whole.length + longer))
        whole.copy(value)
        for (const [at, byte] of changes) value[frameLength + (at % Math.max(1, value.length - frameLength))] = byte
        agree(recordOf(value, event.client_id))
      }),
      { numRuns: 5_000 },
    )
  })

  test('takes in arrays in several blocks and long-winded numbers, which other encoders write', () => {
    const bytes = encoder.encode({ ...plain, categories: ['a', 'сыр'] })
    const item = (text: string) => Buffer.from([Buffer.byteLength(text) << 1, ...Buffer.from(text)])
    const usual = Buffer.concat([Buffer.from([4]), item('a'), item('сыр'), Buffer.from([0])])
    const at = bytes.indexOf(usual)
    expect(at).toBeGreaterThan(0)
    // A block of one item that says its bytes, a block of one item that does not; counts in two bytes instead of one.
    const blocks = [Buffer.from([0x81, 0x00, 4]), item('a'), Buffer.from([0x82, 0x00]), item('сыр'), Buffer.from([0])]
    const odd = Buffer.concat([bytes.subarray(0, at), ...blocks, bytes.subarray(at + usual.length)])
    expect(agree(recordOf(odd, 'anna'))).toBe('taken')
  })

  test('takes in a later version of the schema', async () => {
    const schema = JSON.parse(schemaText('TransactionRecorded'))
    schema.fields.splice(5, 0, { name: 'loyalty_card', type: 'string', default: '' })
    const laterType = parseSchema(schema)
    const defaults = type.fromBuffer(encoder.encode(plain).subarray(frameLength))
    const value = Buffer.concat([Buffer.alloc(frameLength), laterType.toBuffer({ ...defaults, loyalty_card: '17' })])
    writeFrame(value, 0, schemaId)
    const readers = await decoderFor(laterType)
    expect(readers.isNewest(value)).toBe(false)
    expect(agree(recordOf(value, 'anna'), readers)).toBe('taken')
  })

  test('refuses a line beyond the safe whole numbers, also the one that only two to the power of 53 is', () => {
    const line = { sku: 'a', description: null, category: null, quantity: 1 }
    for (const amount of [-(2 ** 53), 2 ** 53 - 1, -(2 ** 53) + 1]) {
      const bytes = type.toBuffer({
        ...type.fromBuffer(encoder.encode(plain).subarray(frameLength)),
        lines: [{ ...line, amount_minor: 7 }],
      })
      const at = bytes.indexOf(Buffer.from([2, 2, 97, 0, 0])) + 5 + 8
      expect(bytes[at]).toBe(14)
      const value = Buffer.concat([
        Buffer.alloc(frameLength),
        bytes.subarray(0, at),
        zigzag(amount),
        bytes.subarray(at + 1),
      ])
      writeFrame(value, 0, schemaId)
      expect(agree(recordOf(value, 'anna'))).toBe(Number.isSafeInteger(amount) ? 'taken' : 'dead')
    }
  })

  test('refuses a missing key and the key of another client; passes on, once, what belongs elsewhere', () => {
    const value = encoder.encode(plain)
    expect(agree(recordOf(value, null))).toBe('dead')
    expect(agree(recordOf(value, 'annb'))).toBe('dead')
    const other = (partitionOf(Buffer.from('anna'), 3) + 1) % 3
    expect(agree(recordOf(value, 'anna'), decoder, other)).toBe('forward')
    const marked = { ...recordOf(value, 'anna'), headers: { [forwardHeaders.offset]: Buffer.from('1') } }
    expect(agree(marked, decoder, other)).toBe('dead')
    expect(agree(marked)).toBe('taken')
  })
})
