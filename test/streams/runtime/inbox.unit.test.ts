import { describe, expect, it } from 'vitest'
import type { LogBatch, LogRecord } from '#streams/log/log.ts'
import { Inbox } from '#streams/runtime/inbox.ts'

const value = Buffer.alloc(10)

/** Records at every second offset of [from, to): offsets are not dense. */
function batch(from: number, to: number, read?: () => void): LogBatch {
  const records: LogRecord[] = []
  for (let offset = from; offset < to; offset += 2)
    records.push({ offset, timestampMs: 1_000 + offset, key: null, value, headers: {} })
  const sizes = { count: records.length, bytes: records.length * value.length }
  const place = { topic: 't', partition: 0, ...sizes, fromOffset: from, nextOffset: to, endOffset: 1_000 }
  return {
    ...place,
    get records() {
      read?.()
      return records
    },
  }
}

function offsets(batches: readonly LogBatch[]): number[] {
  return batches.flatMap(({ records }) => records.map(({ offset }) => offset))
}

function inboxAt(offset: number): Inbox {
  const inbox = new Inbox()
  inbox.reset(offset)
  return inbox
}

const noBound = Number.POSITIVE_INFINITY

describe('an inbox', () => {
  it('decodes nothing of what is added and taken whole', () => {
    let reads = 0
    const inbox = inboxAt(0)
    for (const from of [0, 10, 20]) inbox.add(batch(from, from + 10, () => reads++))
    expect(inbox.count).toBe(15)
    const taken = inbox.take(12, noBound)
    expect(reads).toBe(0)
    expect(offsets(taken)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18])
    expect([inbox.count, inbox.bytes, inbox.nextOffset, inbox.endOffset]).toEqual([5, 50, 30, 1_000])
  })

  it('drops what lies before its offset and what an earlier position left behind', () => {
    const inbox = inboxAt(14)
    inbox.add(batch(0, 10))
    inbox.add(batch(20, 30))
    expect(inbox.count).toBe(0)
    inbox.add(batch(10, 20))
    inbox.add(batch(20, 24))
    expect(offsets(inbox.take(100, noBound))).toEqual([14, 16, 18, 20, 22])
  })

  it('passes a batch without records', () => {
    const inbox = inboxAt(0)
    inbox.add({ ...batch(0, 0), nextOffset: 7 })
    inbox.add(batch(7, 9))
    expect(offsets(inbox.take(100, noBound))).toEqual([7])
  })

  it('cuts a batch that is larger than the bound, down to single records, without a gap', () => {
    const inbox = inboxAt(0)
    inbox.add(batch(0, 10))
    const first = inbox.take(3, noBound)
    expect([offsets(first), first.at(-1)!.nextOffset]).toEqual([[0, 2, 4], 6])
    const second = inbox.take(1, noBound)
    expect([offsets(second), second.at(-1)!.nextOffset]).toEqual([[6], 8])
    const last = inbox.take(3, noBound)
    expect([offsets(last), last.at(-1)!.nextOffset, inbox.count, inbox.bytes]).toEqual([[8], 10, 0, 0])
  })

  it('takes at least one record, whatever the bytes', () => {
    const inbox = inboxAt(0)
    inbox.add(batch(0, 4))
    expect(offsets(inbox.take(100, 1))).toEqual([0])
    expect(offsets(inbox.take(100, 1))).toEqual([2])
  })

  it('gives back in order what was put back', () => {
    const inbox = inboxAt(0)
    for (const from of [0, 10, 20]) inbox.add(batch(from, from + 10))
    inbox.putBack(inbox.take(7, noBound))
    expect([inbox.count, inbox.bytes]).toEqual([15, 150])
    expect(offsets(inbox.take(100, noBound))).toEqual(Array.from({ length: 15 }, (_, i) => i * 2))
  })

  it('knows since when its first record waits', () => {
    const inbox = inboxAt(0)
    expect(inbox.oldestMs).toBeNull()
    inbox.add(batch(0, 10))
    inbox.add(batch(10, 20))
    expect(inbox.oldestMs).toBe(1_000)
    inbox.take(5, noBound)
    expect(inbox.oldestMs).toBe(1_010)
  })
})
