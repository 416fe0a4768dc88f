import { randomBytes } from 'node:crypto'
import { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import { openRegistry, type Registry, registerAll } from '#schemas/registry.ts'
import { topicSpecs, topicsOf } from '#schemas/topics.ts'
import { type RunningRegistry, startRegistry } from '#services/registry/program.ts'
import { openKafkaLog } from '#streams/log/kafka/kafka-log.ts'
import type { Log } from '#streams/log/log.ts'
import { sharedKafka } from '../support/kafka/shared-kafka.ts'

/** A programme's topics on a real broker, and our registry before them. */
export interface Interop {
  readonly brokers: string
  readonly log: Log
  readonly registryServer: RunningRegistry
  readonly registry: Registry
  readonly topic: string
  readonly encoder: EventEncoder<'TransactionRecorded'>
  close(): Promise<void>
}

export async function openInterop(): Promise<Interop> {
  const brokers = await sharedKafka()
  const log = openKafkaLog({ brokers, clientId: 'interop' })
  const topics = topicsOf(`interop-${randomBytes(4).toString('hex')}`)
  await log.admin.ensureTopics(topicSpecs(topics, 4).filter(({ topic }) => topic === topics.transactions))
  const registryServer = await startRegistry({ log, topic: topics.schemas, port: 0 })
  const registry = openRegistry({ url: registryServer.url })
  const ids = await registerAll(registry, topics, ['TransactionRecorded'])
  return {
    brokers: brokers.join(','),
    log,
    registryServer,
    registry,
    topic: topics.transactions,
    encoder: new EventEncoder('TransactionRecorded', ids.TransactionRecorded),
    close: async () => {
      await registryServer.close()
      await log.close()
    },
  }
}

/** A receipt with every field filled, different for every `index`. */
export function sale(index: number): TransactionRecorded {
  return {
    transaction_id: `till-7:${index}`,
    client_id: `клиент-${index % 17}`,
    kind: index % 5 === 4 ? 'REFUND' : 'SALE',
    occurred_at: 1_760_000_000_000 + index * 61_007,
    amount_minor: 12_345 + index * 1_000_003,
    currency: 'RUB',
    source: 'pos:till-7',
    store_id: 'store "1"',
    terminal_id: null,
    receipt_number: String(index),
    original_transaction_id: index % 5 === 4 ? `till-7:${index - 1}` : null,
    payment_method: 'card',
    batch_id: null,
    items_count: 2,
    categories: ['молоко', 'bread'],
    lines: [{ sku: 'A-1', description: 'Творог 9 %', category: null, quantity: 0.375, amount_minor: 12_345 }],
    discount_minor: index,
    bonus_earned_minor: 7,
    bonus_spent_minor: 0,
    attributes: { shift: 'вечер' },
  }
}
