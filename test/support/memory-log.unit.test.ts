import { describe, expect, test } from 'vitest'
import type { Assignment } from '#streams/log/log.ts'
import { readLast } from '#streams/log/range.ts'
import { MemoryLog } from './memory-log.ts'

const record = (value: string, key = 'k') => ({ key: Buffer.from(key), value: Buffer.from(value) })
const texts = (records: readonly { value: Uint8Array | null }[]) => records.map(({ value }) => String(value))

async function logWith(...topics: string[]): Promise<MemoryLog> {
  const log = new MemoryLog({ nowMs: () => 1_000 })
  await log.admin.ensureTopics(topics.map((topic) => ({ topic, partitions: 4, compacted: false })))
  return log
}

describe('memory log', () => {
  test('shows a transaction over several topics at its commit, with the group offsets, and not before', async () => {
    const log = await logWith('a', 'b')
    const writer = log.transactionalWriter('task-0')
    await writer.fence()
    await writer.append('a', 0, [record('1'), record('2')])
    await writer.append('b', 3, [record('3')])
    expect(log.records('a')).toEqual([])
    await writer.commit({ group: 'g', topic: 'in', offsets: new Map([[0, 17]]) })
    expect(texts(log.records('a'))).toEqual(['1', '2'])
    expect(texts(log.records('b', 3))).toEqual(['3'])
    expect(await log.admin.groupOffsets('g', 'in')).toEqual(new Map([[0, 17]]))
    expect(await log.admin.endOffsets('a')).toEqual([3, 0, 0, 0])
    expect((await readLast(log, 'a', 0))?.value).toEqual(Uint8Array.of(0x32))
  })

  test('refuses the commit of a writer that was fenced, and shows nothing of it', async () => {
    const log = await logWith('a')
    const zombie = log.transactionalWriter('task-0')
    await zombie.fence()
    await zombie.append('a', 0, [record('lost')])
    await log.connect().transactionalWriter('task-0').fence()
    await expect(zombie.commit()).rejects.toMatchObject({ code: 'log_fenced' })
    expect(log.records('a')).toEqual([])
  })

  test('wakes a waiting reader, advances it past aborted records, and leaves out what is paused', async () => {
    const log = await logWith('a')
    const reader = log.reader()
    reader.seek('a', 0, 0)
    reader.seek('a', 1, 0)
    reader.pause('a', 1)
    const polled = reader.poll(5_000)
    await log
      .connect()
      .writer()
      .append('a', 1, [record('paused')])
    const writer = log.transactionalWriter('w')
    await writer.fence()
    await writer.append('a', 0, [record('aborted')])
    await writer.abort()
    expect(await polled).toMatchObject([{ partition: 0, records: [], nextOffset: 2, endOffset: 2 }])
    reader.resume('a', 1)
    expect(texts((await reader.poll(0))[0]!.records)).toEqual(['paused'])
  })

  test('shares partitions among members and gives an evicted member’s to the others', async () => {
    const log = await logWith('a')
    const seen: Assignment[][] = [[], []]
    const revoked = [0, 0]
    const join = (index: number) =>
      log.join({
        group: 'g',
        topic: 'a',
        onAssigned: (assignment) => seen[index]!.push(assignment),
        onRevoked: () => {
          revoked[index]! += 1
        },
      })
    const first = await join(0)
    await join(1)
    await Promise.resolve()
    expect([seen[0]!.at(-1), seen[1]!.at(-1)]).toEqual([
      { generation: 2, partitions: [0, 1] },
      { generation: 2, partitions: [2, 3] },
    ])
    const before = revoked[0]
    log.group('g', 'a').evict(0, { silently: true })
    await Promise.resolve()
    expect(await first.stillMember()).toBe(false)
    expect(revoked[0]).toBe(before)
    expect(seen[1]!.at(-1)).toEqual({ generation: 3, partitions: [0, 1, 2, 3] })
  })

  test('keeps the newest record of a key when compacted, at its offset', async () => {
    const log = await logWith('a')
    await log.writer().append('a', 0, [record('old'), record('other', 'x'), record('new')])
    log.compact('a')
    expect(log.records('a').map(({ offset, value }) => [offset, String(value)])).toEqual([
      [1, 'other'],
      [2, 'new'],
    ])
  })
})
