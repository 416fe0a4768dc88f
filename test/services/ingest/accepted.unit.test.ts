import { beforeEach, expect, test } from 'vitest'
import { EventEncoder } from '#schemas/encoder.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { AcceptedFollower } from '#services/ingest/accepted.ts'
import { havePassed } from '#services/ingest/completion.ts'
import type { Log } from '#streams/log/log.ts'
import { encodePosition, positionHeader } from '#streams/runtime/position.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'

const topics = topicsOf('loyalty')
const batchId = '00000000-0000-4000-8000-000000000001'
let log: MemoryLog
let registry: MemoryRegistry
let encoder: EventEncoder<'TransactionsAccepted'>

beforeEach(async () => {
  log = new MemoryLog()
  registry = new MemoryRegistry()
  await log.admin.ensureTopics(topicSpecs(topics, 1))
  encoder = new EventEncoder('TransactionsAccepted', await registry.idOf('TransactionsAccepted'))
})

/** Commits the block of a step that took one transaction, a duplicate, of a batch; as the stream does, in a transaction. */
async function commitBlock(step: number, batch: string): Promise<void> {
  const position = {
    ...{ programme: batchId, transactions: step, control: 0, sweep: null, step, attempt: batchId, foldVersion: 1 },
    ...{ dead: [], part: 1, parts: 1 },
  }
  const batches = [{ batch_id: batch, accepted: 0, duplicates: 1, dead: 0 }]
  const block = { task: 0, step, part: 1, parts: 1, from_offset: step - 1, to_offset: step, batches, facts: [] }
  const writer = log.transactionalWriter('task')
  await writer.fence()
  const value = encoder.encode({ ...block, adjustments: [], repeats: [] })
  await writer.append(topics.accepted, 0, [
    { key: null, value, headers: { [positionHeader]: encodePosition(position) } },
  ])
  await writer.commit()
}

/** The same log; `meanwhile` happens right after somebody has looked for the end of a topic for the nth time. */
function afterLook(nth: number, topic: string, meanwhile: () => Promise<void>): Log {
  let looks = 0
  const admin = {
    ...log.admin,
    endOffsets: async (asked: string) => {
      const ends = await log.admin.endOffsets(asked)
      if (asked === topic && ++looks === nth) await meanwhile()
      return ends
    },
  }
  return {
    admin,
    reader: (options) => log.reader(options),
    writer: () => log.writer(),
    transactionalWriter: (id) => log.transactionalWriter(id),
    join: (options) => log.join(options),
    close: () => log.close(),
  }
}

test.each([1, 2])(
  'a block committed while the follower opens, after look %i, is read before its position holds',
  async (nth) => {
    await commitBlock(1, 'another')
    const [from = 0] = await log.admin.endOffsets(topics.accepted)
    let committed = false
    const watched = afterLook(nth, topics.accepted, async () => {
      await commitBlock(2, batchId)
      committed = true
    })
    const follower = await AcceptedFollower.open(watched, topics.accepted, registry, batchId, [from])
    if (!committed) await commitBlock(2, batchId)
    await follower.until(() => havePassed(follower.positions, [2]), AbortSignal.timeout(5_000))
    await follower.close()
    expect(follower.outcome).toMatchObject({ accepted: 0, duplicates: 1 })
  },
)
