import { describe, expect, test } from 'vitest'
import type { DeadLetterReason } from '#schemas/dead-letter.ts'
import { Grouper } from '#services/ingest/dead-letters/groups.ts'
import { idOf, type Letter, parseId } from '#services/ingest/dead-letters/letter.ts'
import { Marks } from '#services/ingest/dead-letters/marks.ts'
import { letterSelector, matcherOf, rangesOf } from '#services/ingest/dead-letters/selector.ts'

const action = '00000000-0000-4000-8000-000000000001'

function letter(
  offset: number,
  changes: Partial<Letter> & { reason?: DeadLetterReason; arrivedMs?: number } = {},
): Letter {
  const { reason = 'invalid', arrivedMs = offset * 1_000, ...rest } = changes
  return {
    partition: 1,
    offset,
    about: {
      ...{ reason, detail: `detail ${offset}`, topic: 't', partition: 0, offset, timestampMs: arrivedMs },
      ...{ schemaId: 3, truncatedFrom: null },
    },
    replay: null,
    key: Buffer.from('c1'),
    value: null,
    bytes: 0,
    summary: { transactionId: `t${offset}`, clientId: 'c1', source: 'pos:a' },
    ...rest,
  }
}

describe('groups', () => {
  test('are letters of one reason, source and schema, with the last of them as the example', () => {
    const grouper = new Grouper()
    grouper.add(letter(5))
    grouper.add(letter(9, { replay: { of: '1:5', action, attempt: 2 } }))
    grouper.add(letter(7))
    grouper.add(letter(1, { summary: null }))
    grouper.add(letter(2, { reason: 'wrong_currency' }))
    const { groups, total, ungrouped } = grouper.result()
    expect([total, ungrouped]).toEqual([5, 0])
    expect(groups).toHaveLength(3)
    expect(groups[0]).toEqual({
      ...{ reason: 'invalid', source: 'pos:a', schemaId: 3, count: 3, cameBack: 1 },
      ...{ firstArrivedMs: 5_000, lastArrivedMs: 9_000, exampleId: '1:9', exampleDetail: 'detail 9' },
    })
    expect(groups.map(({ source }) => source)).toEqual(['pos:a', null, 'pos:a'])
  })

  test('do not grow with sources that somebody makes up', () => {
    const grouper = new Grouper()
    for (let i = 0; i < 1_500; i++)
      grouper.add(letter(i, { summary: { transactionId: 't', clientId: 'c', source: `pos:${i}` } }))
    grouper.add(letter(0, { summary: { transactionId: 't', clientId: 'c', source: 'pos:0' } }))
    const { groups, total, ungrouped } = grouper.result()
    expect([groups.length, total, ungrouped]).toEqual([1_000, 1_501, 500])
    expect(groups[0]).toMatchObject({ source: 'pos:0', count: 2 })
  })
})

describe('a selector', () => {
  const fits = (selector: object, candidate: Letter) => matcherOf(letterSelector.parse(selector))(candidate)

  test('means the letters that every field of it allows', () => {
    expect(fits({ all: true }, letter(1))).toBe(true)
    expect(fits({ reason: ['invalid', 'too_large'], source: ['pos:a'] }, letter(1))).toBe(true)
    expect(fits({ reason: ['invalid'], source: ['pos:b'] }, letter(1))).toBe(false)
    expect(fits({ source: [null] }, letter(1, { summary: null }))).toBe(true)
    expect(fits({ source: [null] }, letter(1))).toBe(false)
    expect(fits({ schema_id: [3] }, letter(1))).toBe(true)
    expect(fits({ schema_id: [null] }, letter(1))).toBe(false)
    expect(fits({ id: ['1:1'] }, letter(1))).toBe(true)
    expect(fits({ id: ['0:1'] }, letter(1))).toBe(false)
  })

  test('finds a client by the transaction or by the key', () => {
    const strange = letter(1, { key: Buffer.from('key') })
    expect(fits({ client_id: ['c1'] }, strange)).toBe(true)
    expect(fits({ client_id: ['key'] }, strange)).toBe(true)
    expect(fits({ client_id: ['other'] }, strange)).toBe(false)
    expect(fits({ client_id: [''] }, letter(1, { key: null, summary: null }))).toBe(false)
  })

  test('takes the beginning of a time in, and its end not', () => {
    const from = '1970-01-01T00:00:05Z'
    expect([4, 5].map((second) => fits({ arrived_from: from }, letter(second)))).toEqual([false, true])
    expect([4, 5].map((second) => fits({ arrived_before: from }, letter(second)))).toEqual([true, false])
  })

  test('means what came back from one replay only', () => {
    const back = letter(1, { replay: { of: '1:0', action, attempt: 2 } })
    expect(fits({ came_back_from: action }, back)).toBe(true)
    expect(fits({ came_back_from: action.replace('1', '2') }, back)).toBe(false)
    expect(fits({ came_back_from: action }, letter(1))).toBe(false)
  })

  test.each([[{}], [{ reason: [] }], [{ reason: ['boredom'] }], [{ id: ['x'] }], [{ all: false }], [{ colour: 1 }]])(
    'is refused where it means nothing: %j',
    (selector) => expect(letterSelector.safeParse(selector).success).toBe(false),
  )

  test('that names letters is looked for only where they are', () => {
    expect(rangesOf({ id: ['1:40', '1:10', '5:1'] }, [0, 20, 0], [100, 100, 100])).toEqual([
      { partition: 1, from: 20, to: 41 },
    ])
    expect(rangesOf({ reason: ['invalid'] }, [5, 100], [100, 100])).toEqual([{ partition: 0, from: 5, to: 100 }])
  })
})

test('an id is partition and offset', () => {
  expect(parseId(idOf(letter(128)))).toEqual({ partition: 1, offset: 128 })
  for (const id of ['', '1', '1:', ':1', 'a:1', '1:-1', '1:99999999999999999', '1:9999999999999999'])
    expect(parseId(id)).toBeNull()
})

test('marks tell which action dealt with a letter', () => {
  const bits = Buffer.alloc(512)
  bits[1] = 0b100
  const marks = new Marks([{ block: '2', action_id: action, kind: 'discard', bits }])
  expect(marks.of(2 * 4_096 + 10)).toEqual({ actionId: action, kind: 'discard' })
  for (const offset of [10, 2 * 4_096 + 9, 2 * 4_096 + 11, 3 * 4_096 + 10]) expect(marks.of(offset)).toBeNull()
})
