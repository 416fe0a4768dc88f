import type { ProtocolRequest } from 'kafkajs/src/cluster/index.js'
import encodeFetch from 'kafkajs/src/protocol/requests/fetch/v11/request.js'
import { type AbortedTransaction, int64 } from './record-batch.ts'

export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** The first offset that is not decided yet; -1 with an error. */
  readonly lastStableOffset: number
  readonly aborted: readonly AbortedTransaction[]
  /** Record batches, the last one possibly cut. */
  readonly bytes: Buffer
}

export interface FetchTarget {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export interface FetchLimits {
  readonly maxWaitMs: number
  /** Answered at once when there is so much; otherwise after `maxWaitMs`. */
  readonly minBytes: number
  readonly maxBytes: number
  readonly maxBytesPerPartition: number
}

/** A read-committed fetch, version 11 (Kafka 2.3 to 4.x), whose answer keeps the record batches undecoded. */
export function fetchRequest(
  targets: readonly FetchTarget[],
  limits: FetchLimits,
): ProtocolRequest<FetchedPartition[]> {
  const topics = new Map<string, { partition: number; fetchOffset: number; maxBytes: number }[]>()
  for (const { topic, partition, offset } of targets) {
    const partitions = topics.get(topic)
    const entry = { partition, fetchOffset: offset, maxBytes: limits.maxBytesPerPartition }
    if (partitions === undefined) topics.set(topic, [entry])
    else partitions.push(entry)
  }
  return {
    request: encodeFetch({
      replicaId: -1,
      maxWaitTime: limits.maxWaitMs,
      minBytes: limits.minBytes,
      maxBytes: limits.maxBytes,
      isolationLevel: 1,
      topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
    }),
    response: { decode: async (payload) => decodeFetch(payload), parse: async (decoded) => decoded },
    requestTimeout: limits.maxWaitMs + 30_000,
    logResponseError: false,
  }
}

/**
 * throttle int32, error int16, session int32, [topic string, [partition int32, error int16, highWatermark int64,
 * lastStableOffset int64, logStartOffset int64, [producerId int64, firstOffset int64], preferredReplica int32, records bytes]]
 *
 * Source: https://kafka.apache.org/protocol#The_Messages_Fetch
 */
export function decodeFetch(payload: Buffer): FetchedPartition[] {
  const fetched: FetchedPartition[] = []
  let at = 10
  const int32 = () => {
    at += 4
    return payload.readInt32BE(at - 4)
  }
  for (let topics = int32(); topics > 0; topics--) {
    const nameEnd = at + 2 + payload.readInt16BE(at)
    const topic = payload.toString('utf8', at + 2, nameEnd)
    at = nameEnd
    for (let partitions = int32(); partitions > 0; partitions--) {
      const partition = int32()
      const errorCode = payload.readInt16BE(at)
      const lastStableOffset = int64(payload, at + 10)
      at += 26
      const aborted: AbortedTransaction[] = []
      for (let count = int32(); count > 0; count--) {
        aborted.push({ producerId: int64(payload, at), firstOffset: int64(payload, at + 8) })
        at += 16
      }
      at += 4
      const length = Math.max(0, int32())
      const bytes = payload.subarray(at, at + length)
      at += length
      fetched.push({ topic, partition, errorCode, lastStableOffset, aborted, bytes })
    }
  }
  return fetched
}
