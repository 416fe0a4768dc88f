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

declare module 'kafkajs/src/protocol/encoder.js' {
  export default class Encoder {
    readonly buf: Buffer
    readonly buffer: Buffer
  }
}

declare module 'kafkajs/src/protocol/decoder.js' {
  export default class Decoder {
    constructor(bytes: Buffer)
  }
}

declare module 'kafkajs/src/protocol/request.js' {
  const createRequest: (options: {
    correlationId: number
    clientId: string
    request: {
      apiKey: number
      apiVersion: number
      encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
    }
  }) => Promise<{ readonly buffer: Buffer }>
  export default createRequest
}

declare module 'kafkajs/src/protocol/recordBatch/v0/index.js' {
  import type Encoder from 'kafkajs/src/protocol/encoder.js'

  const recordBatch: {
    RecordBatch(options: {
      compression?: number
      records: readonly Encoder[]
      firstTimestamp: number
      maxTimestamp: number
      producerId: number
      producerEpoch: number
      firstSequence: number
      transactional: boolean
      lastOffsetDelta: number
    }): Promise<Encoder>
  }
  export default recordBatch
}

declare module 'kafkajs/src/protocol/recordBatch/record/v0/index.js' {
  import type Encoder from 'kafkajs/src/protocol/encoder.js'

  const encodeRecord: (record: {
    key: Buffer | null
    value: Buffer | null
    headers: Readonly<Record<string, Buffer>>
    offsetDelta: number
    timestampDelta: number
  }) => Encoder
  export default encodeRecord
}

declare module 'kafkajs/src/protocol/recordBatch/v0/decoder.js' {
  import type Decoder from 'kafkajs/src/protocol/decoder.js'

  export interface DecodedRecord {
    readonly offset: string
    readonly timestamp: string
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly headers: Readonly<Record<string, Buffer>>
  }
  const decodeBatch: (decoder: Decoder) => Promise<{ readonly records: readonly DecodedRecord[] }>
  export default decodeBatch
}
