/**
 * The parts of kafkajs 2.2.4 (pinned) below its public API that the adapter stands on: connections, request framing and
 * versions, metadata. Only what is used is declared.
 */
declare module 'kafkajs/src/loggers/index.js' {
  export interface KafkaJsLogger {
    readonly namespace: (name: string) => KafkaJsLogger
  }
  interface LogEntry {
    readonly namespace: string
    readonly label: string
    readonly log: { readonly message: string; readonly [detail: string]: unknown }
  }
  const loggers: {
    readonly LEVELS: { readonly NOTHING: number; readonly ERROR: number; readonly WARN: number; readonly INFO: number }
    readonly createLogger: (options: {
      level: number
      logCreator: (level: number) => (entry: LogEntry) => void
    }) => KafkaJsLogger
  }
  export default loggers
}

declare module 'kafkajs/src/network/socketFactory.js' {
  export type SocketFactory = (options: unknown) => unknown
  const createSocketFactory: () => SocketFactory
  export default createSocketFactory
}

declare module 'kafkajs/src/cluster/index.js' {
  import type { Socket } from 'node:net'
  import type { KafkaJsLogger } from 'kafkajs/src/loggers/index.js'
  import type { SocketFactory } from 'kafkajs/src/network/socketFactory.js'

  export interface RetryOptions {
    readonly initialRetryTime: number
    readonly maxRetryTime: number
    readonly retries: number
  }

  export interface ProtocolRequest<Decoded> {
    readonly request: {
      readonly apiKey: number
      readonly apiVersion: number
      readonly apiName: string
      /** The framing reads `buf` as a mark and copies `buffer`. */
      encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
    }
    readonly response: { decode(payload: Buffer): Promise<Decoded>; parse(decoded: Decoded): Promise<Decoded> }
    readonly requestTimeout?: number
    readonly logResponseError?: boolean
  }

  export interface PartitionMetadata {
    readonly partitionErrorCode: number
    readonly partitionId: number
    readonly leader: number
  }

  export interface TopicMetadata {
    readonly topic: string
    readonly partitionMetadata: readonly PartitionMetadata[]
  }

  export interface ClusterMetadata {
    readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[]
    readonly controllerId: number
    readonly topicMetadata: readonly TopicMetadata[]
  }

  export interface TopicOffsets {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly offset: string; readonly errorCode?: number }[]
  }

  export interface TransactionIdentity {
    readonly transactionalId: string
    readonly producerId: number | string
    readonly producerEpoch: number
  }

  export interface Broker {
    readonly nodeId: number | null
    readonly connectionPool: {
      readonly pool: readonly { readonly socket?: Socket }[]
      send<Decoded>(request: ProtocolRequest<Decoded>): Promise<Decoded>
    }
    disconnect(): Promise<void>
    metadata(topics: readonly string[]): Promise<ClusterMetadata>
    findGroupCoordinator(request: {
      groupId: string
      coordinatorType: number
    }): Promise<{ readonly coordinator: { readonly nodeId: number } }>
    listOffsets(request: {
      isolationLevel: number
      topics: readonly { topic: string; partitions: readonly { partition: number; timestamp: number }[] }[]
    }): Promise<{ readonly responses: readonly TopicOffsets[] }>
    createTopics(request: {
      topics: readonly {
        topic: string
        numPartitions: number
        replicationFactor: number
        configEntries: readonly { name: string; value: string }[]
      }[]
      timeout?: number
    }): Promise<unknown>
    deleteTopics(request: { topics: readonly string[]; timeout?: number }): Promise<unknown>
    offsetFetch(request: {
      groupId: string
      topics: readonly { topic: string; partitions: readonly { partition: number }[] }[]
    }): Promise<{ readonly responses: readonly TopicOffsets[] }>
    offsetCommit(request: {
      groupId: string
      groupGenerationId: number
      memberId: string
      topics: readonly OffsetsToCommit[]
    }): Promise<unknown>
    initProducerId(request: {
      transactionalId?: string
      transactionTimeout: number
    }): Promise<{ readonly producerId: string; readonly producerEpoch: number }>
    addPartitionsToTxn(
      request: TransactionIdentity & { topics: readonly { topic: string; partitions: readonly number[] }[] },
    ): Promise<unknown>
    addOffsetsToTxn(request: TransactionIdentity & { groupId: string }): Promise<unknown>
    txnOffsetCommit(
      request: TransactionIdentity & { groupId: string; topics: readonly OffsetsToCommit[] },
    ): Promise<unknown>
    endTxn(request: TransactionIdentity & { transactionResult: boolean }): Promise<unknown>
    joinGroup(request: {
      groupId: string
      sessionTimeout: number
      rebalanceTimeout: number
      memberId: string
      groupProtocols: readonly { name: string; metadata: Buffer }[]
    }): Promise<{
      readonly generationId: number
      readonly leaderId: string
      readonly memberId: string
      readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
    }>
    syncGroup(request: {
      groupId: string
      generationId: number
      memberId: string
      groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[]
    }): Promise<{ readonly memberAssignment: Buffer }>
    heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>
    leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>
  }

  export interface OffsetsToCommit {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
  }

  export interface BrokerPool {
    readonly brokers: Readonly<Record<string, Broker>>
    readonly seedBroker: Broker | undefined
    readonly metadata: ClusterMetadata | null
    connect(): Promise<void>
    refreshMetadata(topics: readonly string[]): Promise<void>
    findBroker(request: { nodeId: number | string }): Promise<Broker>
    findConnectedBroker(): Promise<Broker>
  }

  export default class Cluster {
    constructor(options: {
      logger: KafkaJsLogger
      socketFactory: SocketFactory
      brokers: readonly string[]
      ssl?: unknown
      sasl?: unknown
      clientId: string
      connectionTimeout: number
      authenticationTimeout: number
      requestTimeout: number
      metadataMaxAge: number
      allowAutoTopicCreation: boolean
      retry: RetryOptions
    })
    readonly brokerPool: BrokerPool
    disconnect(): Promise<void>
  }
}

declare module 'kafkajs/src/consumer/assignerProtocol.js' {
  const protocol: {
    readonly MemberMetadata: {
      encode(metadata: { version: number; topics: readonly string[]; userData: Buffer }): Buffer
      decode(bytes: Buffer): { readonly topics: string[]; readonly userData: Buffer | null }
    }
    readonly MemberAssignment: {
      encode(assignment: { version: number; assignment: Readonly<Record<string, readonly number[]>> }): Buffer
      decode(bytes: Buffer): { readonly assignment: Readonly<Record<string, readonly number[]>> } | null
    }
  }
  export default protocol
}

declare module 'kafkajs/src/protocol/requests/fetch/v11/request.js' {
  const fetchRequest: (options: {
    replicaId: number
    maxWaitTime: number
    minBytes: number
    maxBytes: number
    isolationLevel: number
    topics: readonly {
      topic: string
      partitions: readonly { partition: number; fetchOffset: number; maxBytes: number }[]
    }[]
  }) => import('kafkajs/src/cluster/index.js').ProtocolRequest<unknown>['request']
  export default fetchRequest
}
