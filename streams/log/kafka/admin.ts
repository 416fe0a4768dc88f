import { hasCode, LoyaltyError } from '../../core/error.ts'
import type { GroupOffsets, LogAdmin, TopicSpec } from '../log.ts'
import { delay, type KafkaClient } from './client.ts'
import { isConnectionFailure, isRefusedForNow, kafkaErrorOf, unavailable } from './errors.ts'
import type { MemberIdentity } from './membership.ts'
import { listOffsets, retried } from './offsets.ts'

const maxRecordBytesDefault = 1024 * 1024
/** Room for key, headers and framing beside the value. */
const recordOverheadBytes = 16 * 1024
const forever = '9223372036854775807'

/** Topics, offsets and group offsets. `memberOf` finds this process's membership of a group, where there is one. */
export class KafkaAdmin implements LogAdmin {
  readonly #client: KafkaClient
  readonly #replicationFactor: number
  readonly #memberOf: (group: string) => MemberIdentity | null

  constructor(client: KafkaClient, replicationFactor: number, memberOf: (group: string) => MemberIdentity | null) {
    this.#client = client
    this.#replicationFactor = replicationFactor
    this.#memberOf = memberOf
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    for (const spec of specs) {
      const existing = (await this.partitions(spec.topic)) ?? (await this.#create(spec))
      if (existing !== spec.partitions)
        throw new LoyaltyError(
          'log_topic_mismatch',
          `topic ${spec.topic} has ${existing} partitions, ${spec.partitions} are configured; the number of a programme never changes`,
          { details: { topic: spec.topic, existing, wanted: spec.partitions } },
        )
    }
  }

  /** Creates a topic, waits until every partition has a leader, and answers the number of partitions. */
  async #create(spec: TopicSpec): Promise<number> {
    const { topic, partitions } = spec
    const entry = {
      topic,
      numPartitions: partitions,
      replicationFactor: this.#replicationFactor,
      configEntries: Object.entries(configOf(spec)).map(([name, value]) => ({ name, value })),
    }
    await this.#repeated(`create topic ${topic}`, async () => {
      const controller = await this.#client.controller()
      await controller.createTopics({ topics: [entry], timeout: 10_000 }).catch((error) => {
        // Somebody else was faster, or the answer to an earlier try was lost.
        if (firstErrorOf(error) !== 'TOPIC_ALREADY_EXISTS') throw error
      })
    })
    const deadline = performance.now() + 15_000
    for (;;) {
      this.#client.forgetLeaders(topic)
      const leaders = await this.#client.leaders(topic).catch(() => [])
      if (leaders.length > 0 && leaders.every((leader) => leader >= 0)) return leaders.length
      if (performance.now() > deadline) throw unavailable(`create topic ${topic}`, new Error('it got no leaders'))
      await delay(20)
    }
  }

  async partitions(topic: string): Promise<number | null> {
    try {
      return (await retried(this.#client, topic, `look for topic ${topic}`, () => this.#client.leaders(topic))).length
    } catch (error) {
      if (hasCode(error, 'log_topic_missing')) return null
      throw error
    }
  }

  async topics(): Promise<string[]> {
    const names = await this.#repeated('list the topics', () => this.#client.topics())
    return names.filter((name) => !name.startsWith('__')).sort()
  }

  endOffsets(topic: string): Promise<number[]> {
    return listOffsets(this.#client, topic, 'end')
  }

  writtenEnds(topic: string): Promise<number[]> {
    return listOffsets(this.#client, topic, 'written')
  }

  startOffsets(topic: string): Promise<number[]> {
    return listOffsets(this.#client, topic, 'start')
  }

  async groupOffsets(group: string, topic: string): Promise<Map<number, number>> {
    const count = await this.partitions(topic)
    if (count === null) return new Map()
    const topics = [{ topic, partitions: Array.from({ length: count }, (_, partition) => ({ partition })) }]
    const { responses } = await this.#client
      .askCoordinator('group', group, (coordinator) => coordinator.offsetFetch({ groupId: group, topics }), {
        what: `read the offsets of group ${group}`,
        repeatable: true,
      })
      .catch((error) => {
        throw error instanceof LoyaltyError ? error : unavailable(`read the offsets of group ${group}`, error)
      })
    const stored = responses.flatMap(({ partitions }) => partitions).filter(({ offset }) => Number(offset) >= 0)
    return new Map(stored.map(({ partition, offset }) => [partition, Number(offset)]))
  }

  async setGroupOffsets({ group, topic, offsets }: GroupOffsets): Promise<void> {
    const member = this.#memberOf(group)
    const partitions = [...offsets].map(([partition, offset]) => ({ partition, offset: String(offset) }))
    const request = {
      groupId: group,
      groupGenerationId: member?.generation ?? -1,
      memberId: member?.memberId ?? '',
      topics: [{ topic, partitions }],
    }
    const what = `set the offsets of group ${group}`
    await this.#client
      .askCoordinator('group', group, (coordinator) => coordinator.offsetCommit(request), { what, repeatable: true })
      .catch((error) => {
        throw error instanceof LoyaltyError ? error : unavailable(what, error)
      })
  }

  async deleteTopics(topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      await this.#repeated(`delete topic ${topic}`, async () => {
        const controller = await this.#client.controller()
        await controller.deleteTopics({ topics: [topic], timeout: 10_000 }).catch((error) => {
          if (kafkaErrorOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
        })
      })
      this.#client.forgetLeaders(topic)
    }
  }

  async #repeated<T>(what: string, ask: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#client.patienceMs
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        const passing = isConnectionFailure(error) || isRefusedForNow(error)
        if (!passing || this.#client.closed || performance.now() > deadline) throw unavailable(what, error)
        await delay(100)
      }
    }
  }
}

/** Settings of a topic. Times are those of arrival at the broker; clients may not choose a codec that we cannot read. */
function configOf(spec: TopicSpec): Record<string, string> {
  return {
    'cleanup.policy': spec.compacted ? 'compact' : 'delete',
    'retention.ms': String(spec.retentionMs ?? -1),
    'retention.bytes': '-1',
    'compression.type': 'uncompressed',
    'max.message.bytes': String((spec.maxRecordBytes ?? maxRecordBytesDefault) + recordOverheadBytes),
    'message.timestamp.type': 'LogAppendTime',
    'message.timestamp.after.max.ms': forever,
  }
}

/** CreateTopics answers one error per topic. */
function firstErrorOf(error: unknown): string | undefined {
  if (typeof error === 'object' && error !== null && 'errors' in error && Array.isArray(error.errors))
    return kafkaErrorOf(error.errors[0])
  return kafkaErrorOf(error)
}
