/** kafkajs's inner modules that the regression tests of our patches look into. */
declare module 'kafkajs/src/producer/groupMessagesPerPartition.js' {
  const groupMessagesPerPartition: <Message>(options: {
    topic: string
    partitionMetadata: readonly { partitionId: number }[]
    messages: readonly Message[]
    partitioner: (choice: { message: Message }) => number
  }) => Record<number, Message[]>
  export default groupMessagesPerPartition
}

declare module 'kafkajs/src/consumer/filterAbortedMessages.js' {
  export interface FilterMessage {
    readonly offset: string
    readonly key: Buffer | null
    readonly isControlRecord: boolean
    readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean }
  }
  const filterAbortedMessages: (options: {
    messages: readonly FilterMessage[]
    abortedTransactions: readonly { readonly producerId: string; readonly firstOffset: string }[]
  }) => FilterMessage[]
  export default filterAbortedMessages
}

declare module 'kafkajs/src/network/connection.js' {
  import type { ProtocolRequest } from 'kafkajs/src/cluster/index.js'
  import type { KafkaJsLogger } from 'kafkajs/src/loggers/index.js'
  import type { SocketFactory } from 'kafkajs/src/network/socketFactory.js'

  export default class Connection {
    constructor(options: {
      host: string
      port: number
      logger: KafkaJsLogger
      socketFactory: SocketFactory
      requestTimeout: number
      connectionTimeout: number
    })
    connect(): Promise<boolean>
    disconnect(): Promise<boolean>
    isConnected(): boolean
    send<Decoded>(request: ProtocolRequest<Decoded>): Promise<Decoded>
  }
}

declare module 'kafkajs/src/consumer/offsetManager/index.js' {
  export default class OffsetManager {
    constructor(options: {
      cluster: unknown
      coordinator: unknown
      memberAssignment: Readonly<Record<string, readonly number[]>>
      topicConfigurations: object
      groupId: string
    })
    setDefaultOffset(place: { topic: string; partition: number }): Promise<void>
  }
}
