import { expect, test } from 'vitest'
import { untilProjected } from '#services/ingest/completion.ts'
import type { Log } from '#streams/log/log.ts'
import { eventually } from '../../support/eventually.ts'
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
  const looks = { ends: 0, applied: 0 }
  const admin = {
    ...log.admin,
    endOffsets: async () => {
      looks.ends++
      return ends
    },
  }
  const projections = {
    applied: async () => {
      looks.applied++
      return new Map([[topic, applied]])
    },
  }
  const hiding: Log = {
    admin,
    reader: (options) => log.reader(options),
    writer: () => log.writer(),
    transactionalWriter: (id) => log.transactionalWriter(id),
    join: (options) => log.join(options),
    close: () => log.close(),
  }
  const told: string[] = []
  const waiting = untilProjected(hiding, [topic], projections).then(() => told.push('projected'))
  await eventually(() => looks.ends >= 4)
  expect(told).toEqual([])
  expect(looks.applied).toBe(0)
  ends = all
  await eventually(() => looks.applied >= 4)
  expect(told).toEqual([])
  applied = all
  await waiting
  expect(told).toEqual(['projected'])
})
