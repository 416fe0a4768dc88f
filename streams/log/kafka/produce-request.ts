import type { ProtocolRequest } from 'kafkajs/src/cluster/index.js'
import type { NewRecord } from '../log.ts'
import type { ByteWriter } from './byte-writer.ts'
import { type BatchProducer, int64, writeBatch } from './record-batch.ts'

/** One batch for one partition: `records[from, to)` with the sequence number of the first. */
export interface BatchToSend {
  readonly topic: string
  readonly partition: number
  readonly records: readonly NewRecord[]
  readonly from: number
  readonly to: number
  readonly sequence: number
}

export interface Produced {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly baseOffset: number
}

/**
 * A produce request, version 7 (Kafka 2.1 to 4.x), acknowledged by all replicas. It is written into `out`, which may be
 * used again when the request is on its way (kafkajs copies it at once).
 *
 * transactionalId nullable string, acks int16, timeout int32, [topic string, [partition int32, records bytes]]
 */
export function produceRequest(
  out: ByteWriter,
  transactionalId: string | null,
  producer: BatchProducer,
  batches: readonly BatchToSend[],
): ProtocolRequest<Produced[]> {
  return {
    request: {
      apiKey: 0,
      apiVersion: 7,
      apiName: 'Produce',
      encode: async () => {
        out.reset()
        out.string(transactionalId)
        out.int16(-1)
        out.int32(produceTimeoutMs)
        writeTopics(out, producer, batches)
        return { buf: out.buffer, buffer: out.buffer.subarray(0, out.offset) }
      },
    },
    response: { decode: async (payload) => decodeProduced(payload), parse: async (decoded) => decoded },
    logResponseError: false,
  }
}

const produceTimeoutMs = 30_000

function writeTopics(out: ByteWriter, producer: BatchProducer, batches: readonly BatchToSend[]): void {
  const topics = Map.groupBy(batches, (batch) => batch.topic)
  const timestampMs = Date.now()
  out.int32(topics.size)
  for (const [topic, ofTopic] of topics) {
    out.string(topic)
    out.int32(ofTopic.length)
    for (const { partition, records, from, to, sequence } of ofTopic) {
      out.int32(partition)
      const lengthAt = out.offset
      out.int32(0)
      const size = writeBatch(out, records, from, to, producer, sequence, timestampMs)
      out.buffer.writeInt32BE(size, lengthAt)
    }
  }
}

/** [topic string, [partition int32, error int16, baseOffset int64, logAppendTime int64, logStartOffset int64]], throttle int32 */
function decodeProduced(payload: Buffer): Produced[] {
  const produced: Produced[] = []
  let at = 4
  for (let topics = payload.readInt32BE(0); topics > 0; topics--) {
    const nameEnd = at + 2 + payload.readInt16BE(at)
    const topic = payload.toString('utf8', at + 2, nameEnd)
    at = nameEnd + 4
    for (let partitions = payload.readInt32BE(nameEnd); partitions > 0; partitions--) {
      const partition = payload.readInt32BE(at)
      produced.push({ topic, partition, errorCode: payload.readInt16BE(at + 4), baseOffset: int64(payload, at + 6) })
      at += 30
    }
  }
  return produced
}
