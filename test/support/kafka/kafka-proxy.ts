import { connect, createServer, type Server, type Socket } from 'node:net'

/** Numbers of some requests, https://kafka.apache.org/protocol#protocol_api_keys */
export const apis = {
  produce: 0,
  fetch: 1,
  findCoordinator: 10,
  initProducerId: 22,
  addPartitionsToTxn: 24,
  addOffsetsToTxn: 25,
  endTxn: 26,
  txnOffsetCommit: 28,
} as const

type Fault = 'lose-request' | 'lose-reply'

/**
 * A TCP proxy before a broker that knows where requests begin and end, counts them by kind, and can break the connection
 * just before a request reaches the broker or just before its reply reaches the client. The broker must advertise the
 * proxy's address.
 */
export class KafkaProxy {
  readonly port: number
  /** Requests that reached the broker, by kind. */
  readonly counts = new Map<number, number>()
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #brokerPort = 0
  #fault: { readonly api: number; readonly kind: Fault; readonly done: () => void } | null = null

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
    server.on('connection', (client) => this.#serve(client))
  }

  static async listen(): Promise<KafkaProxy> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy listens on no port')
    return new KafkaProxy(server, address.port)
  }

  forwardTo(brokerPort: number): void {
    this.#brokerPort = brokerPort
  }

  /** Breaks the connection at the next request of this kind; the promise resolves when that has happened. */
  once(api: number, kind: Fault): Promise<void> {
    return new Promise((resolve) => {
      this.#fault = { api, kind, done: resolve }
    })
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(client: Socket): void {
    const broker = connect(this.#brokerPort, '127.0.0.1')
    const sever = () => {
      client.resetAndDestroy()
      broker.destroy()
    }
    for (const socket of [client, broker]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', sever)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        sever()
      })
    }
    const loseReplies = new Set<number>()
    onFrames(client, (frame) => {
      const api = frame.readInt16BE(4)
      if (this.#struck(api, 'lose-request')) return sever()
      this.counts.set(api, (this.counts.get(api) ?? 0) + 1)
      if (this.#fault?.api === api && this.#fault.kind === 'lose-reply') loseReplies.add(frame.readInt32BE(8))
      broker.write(frame)
    })
    onFrames(broker, (frame) => {
      if (loseReplies.has(frame.readInt32BE(4))) {
        this.#fault?.done()
        this.#fault = null
        return sever()
      }
      client.write(frame)
    })
  }

  #struck(api: number, kind: Fault): boolean {
    if (this.#fault?.api !== api || this.#fault.kind !== kind) return false
    this.#fault.done()
    this.#fault = null
    return true
  }
}

/** Calls back with every complete frame, its four length bytes included. */
function onFrames(socket: Socket, handle: (frame: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  socket.on('data', (data: Buffer) => {
    rest = Buffer.concat([rest, data])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const size = 4 + rest.readInt32BE(0)
      handle(rest.subarray(0, size))
      rest = rest.subarray(size)
    }
  })
}
