import type { Socket } from 'node:net'
import Cluster, { type Broker, type ProtocolRequest } from 'kafkajs/src/cluster/index.js'
import type { KafkaJsLogger } from 'kafkajs/src/loggers/index.js'
import createSocketFactory, { type SocketFactory } from 'kafkajs/src/network/socketFactory.js'
import {
  isConnectionFailure,
  isCoordinatorMoved,
  isRefusedForNow,
  kafkaErrorOf,
  topicMissing,
  unavailable,
} from './errors.ts'

export interface ClientOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly logger: KafkaJsLogger
  /** Milliseconds for which a question that may be asked again is repeated while nobody answers. */
  readonly patienceMs: number
  /** TLS and SASL settings as kafkajs takes them. */
  readonly ssl?: unknown
  readonly sasl?: unknown
}

export type CoordinatorKind = 'group' | 'transaction'

/**
 * Connections of one reader, writer or member to the brokers: finds leaders and coordinators and remembers them until told
 * that they moved. kafkajs does the connecting, the framing and the versions of the requests.
 */
export class KafkaClient {
  readonly patienceMs: number
  readonly #cluster: Cluster
  readonly #sockets = new Set<Socket>()
  readonly #leaders = new Map<string, readonly number[]>()
  readonly #coordinators = new Map<string, number>()
  #refreshing: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(options: ClientOptions) {
    const { patienceMs, ...connection } = options
    this.patienceMs = patienceMs
    this.#cluster = new Cluster({
      ...connection,
      socketFactory: this.#socketFactory(),
      connectionTimeout: 3_000,
      authenticationTimeout: 10_000,
      requestTimeout: 30_000,
      metadataMaxAge: 300_000,
      allowAutoTopicCreation: false,
      // Quick and few: whoever calls knows better how long it is worth waiting.
      retry: { initialRetryTime: 20, maxRetryTime: 200, retries: 5 },
    })
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Node ids of the leaders by partition, -1 where there is none now. Errors: `log_topic_missing`, connection failures. */
  async leaders(topic: string): Promise<readonly number[]> {
    const known = this.#leaders.get(topic)
    if (known !== undefined) return known
    const metadata = await this.#refresh([topic]).catch((error) => {
      throw kafkaErrorOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION' ? topicMissing(topic) : error
    })
    const partitions = metadata.topicMetadata.find((entry) => entry.topic === topic)?.partitionMetadata
    if (partitions === undefined) throw topicMissing(topic)
    const leaders: number[] = []
    for (const { partitionId, leader } of partitions) leaders[partitionId] = leader
    if (leaders.every((leader) => leader >= 0)) this.#leaders.set(topic, leaders)
    return leaders
  }

  forgetLeaders(topic: string): void {
    this.#leaders.delete(topic)
  }

  /** Names of all topics. */
  async topics(): Promise<string[]> {
    return (await this.#refresh([])).topicMetadata.map(({ topic }) => topic)
  }

  /** One refresh at a time: kafkajs keeps the answer of the last one only. */
  #refresh(topics: readonly string[]) {
    const { brokerPool } = this.#cluster
    const refreshed = this.#refreshing.then(async () => {
      if (this.#closed) throw new Error('this client was closed')
      await brokerPool.connect()
      await brokerPool.refreshMetadata(topics)
      return brokerPool.metadata!
    })
    this.#refreshing = refreshed.catch(() => {})
    return refreshed
  }

  async broker(nodeId: number): Promise<Broker> {
    if (this.#closed) throw new Error('this client was closed')
    const { brokerPool } = this.#cluster
    if (brokerPool.brokers[nodeId] === undefined) await this.#refresh([])
    try {
      return await brokerPool.findBroker({ nodeId })
    } catch (error) {
      // It may have come back under another address.
      if (isConnectionFailure(error)) await this.#refresh([]).catch(() => {})
      throw error
    }
  }

  async anyBroker(): Promise<Broker> {
    if (this.#cluster.brokerPool.metadata === null) await this.#refresh([])
    return this.#cluster.brokerPool.findConnectedBroker()
  }

  /** The broker that takes changes of topics. */
  async controller(): Promise<Broker> {
    return this.broker((await this.#refresh([])).controllerId)
  }

  async coordinator(kind: CoordinatorKind, id: string): Promise<Broker> {
    const key = `${kind} ${id}`
    let nodeId = this.#coordinators.get(key)
    if (nodeId === undefined) {
      const broker = await this.anyBroker()
      const found = await broker.findGroupCoordinator({ groupId: id, coordinatorType: kind === 'group' ? 0 : 1 })
      nodeId = found.coordinator.nodeId
      this.#coordinators.set(key, nodeId)
    }
    return this.broker(nodeId)
  }

  forgetCoordinator(kind: CoordinatorKind, id: string): void {
    this.#coordinators.delete(`${kind} ${id}`)
  }

  /**
   * Asks the coordinator, again while it refuses for a reason that passes (it moved, is loading, or ends the transaction
   * before) and, where `repeatable`, while it cannot be reached.
   *
   * Errors: Kafka's refusal, a connection failure, or `log_unavailable` after `withinMs`.
   */
  async askCoordinator<T>(
    kind: CoordinatorKind,
    id: string,
    ask: (coordinator: Broker) => Promise<T>,
    options: { what: string; repeatable: boolean; withinMs?: number },
  ): Promise<T> {
    const deadline = performance.now() + (options.withinMs ?? 30_000)
    for (let waitMs = 2; ; waitMs = Math.min(waitMs * 2, 50)) {
      let sent = false
      try {
        const coordinator = await this.coordinator(kind, id)
        sent = true
        return await ask(coordinator)
      } catch (error) {
        const lost = isConnectionFailure(error)
        if (lost || isCoordinatorMoved(error)) this.forgetCoordinator(kind, id)
        const again = lost ? !sent || options.repeatable : isRefusedForNow(error)
        if (!again || this.#closed) throw error
        if (performance.now() >= deadline) throw unavailable(options.what, error)
        await delay(waitMs)
      }
    }
  }

  /** Sends a request of our own encoding over kafkajs's connection. */
  async send<T>(broker: Broker, request: ProtocolRequest<T>): Promise<T> {
    try {
      return await broker.connectionPool.send(request)
    } catch (error) {
      if (isConnectionFailure(error)) await broker.disconnect()
      throw error
    }
  }

  /** Breaks the connection that waits for a fetch, so that another fetch can be sent at once. */
  interruptFetch(broker: Broker): void {
    broker.connectionPool.pool[1]?.socket?.destroy(new Error('fetch interrupted'))
  }

  /** Breaks all connections; requests under way fail, and later ones connect again. */
  async dropConnections(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy(new Error('closed'))
    await new Promise(setImmediate)
  }

  /** Ends all connections; requests under way fail. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.dropConnections()
    await this.#refreshing
    await this.#cluster.disconnect()
    for (const socket of this.#sockets) socket.destroy()
  }

  #socketFactory(): SocketFactory {
    const create = createSocketFactory()
    return (options) => {
      const socket = create(options) as Socket
      socket.setNoDelay(true)
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      return socket
    }
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
