import { expect, test } from 'vitest'
import { untilProjected } from '#services/ingest/completion.ts'
import type { Log } from '#streams/log/log.ts'
import { MemoryLog } from '../../support/memory-log.ts'

const topic = 'client-state'
const record = (value: string) => ({ key: Buffer.from('k'), value: Buffer.from(value) })

test('a committed record that a partition still hides from readers is waited for, and its projection too', async () => {
  const log = new MemoryLog()
  await log.admin.ensureTopics([{ topic, partitions: 1, compacted: false }])
  await log.writer().append(topic, 0, [record('seen')])
  const hidden = await log.admin.endOffsets(topic)
  await log.writer().append(topic, 0, [record('hidden')])
  const all = await log.admin.endOffsets(topic)

  let ends = hidden
  let applied = hidden
  const admin = { ...log.admin, endOffsets: async () => ends }
  const hiding: Log = {
    admin,
    reader: (options) => log.reader(options),
    writer: () => log.writer(),
    transactionalWriter: (id) => log.transactionalWriter(id),
    join: (options) => log.join(options),
    close: () => log.close(),
  }
  const told: string[] = []
  const waiting = untilProjected(hiding, [topic], { applied: async () => new Map([[topic, applied]]) }).then(() =>
    told.push('projected'),
  )
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(told).toEqual([])
  ends = all
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(told).toEqual([])
  applied = all
  await waiting
  expect(told).toEqual(['projected'])
})
