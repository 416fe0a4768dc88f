import { LoyaltyError } from '../../core/error.ts'
import { delay, type KafkaClient } from './client.ts'
import { isConnectionFailure, isStaleMetadata, unavailable } from './errors.ts'

/** Which offsets to ask for, and whether open transactions end what is seen. */
const questions = {
  start: { timestamp: -2, isolationLevel: 1 },
  end: { timestamp: -1, isolationLevel: 1 },
  written: { timestamp: -1, isolationLevel: 0 },
} as const

/**
 * First or end offset of every partition. The end is that of what is committed (the last stable offset), `written` that of
 * all there is (the high watermark).
 *
 * Errors: `log_topic_missing`, `log_unavailable`.
 */
export async function listOffsets(
  client: KafkaClient,
  topic: string,
  which: keyof typeof questions,
): Promise<number[]> {
  const { timestamp, isolationLevel } = questions[which]
  return retried(client, topic, `list the offsets of ${topic}`, async () => {
    const leaders = await client.leaders(topic)
    const offsets = new Array<number>(leaders.length).fill(0)
    for (const leader of new Set(leaders)) {
      const partitions = leaders.flatMap((node, partition) => (node === leader ? [{ partition, timestamp }] : []))
      const broker = await client.broker(leader)
      const { responses } = await broker.listOffsets({ isolationLevel, topics: [{ topic, partitions }] })
      for (const { partitions: answers } of responses)
        for (const { partition, offset } of answers) offsets[partition] = Number(offset)
    }
    return offsets
  })
}

/** Repeats a harmless request while leaders move or brokers are away, as long as the client is patient. */
export async function retried<T>(client: KafkaClient, topic: string, what: string, ask: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + client.patienceMs
  for (let waitMs = 10; ; waitMs = Math.min(waitMs * 2, 200)) {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof LoyaltyError || client.closed) throw error
      if (!isConnectionFailure(error) && !isStaleMetadata(error)) throw unavailable(what, error)
      client.forgetLeaders(topic)
      if (performance.now() >= deadline) throw unavailable(what, error)
      await delay(waitMs)
    }
  }
}
