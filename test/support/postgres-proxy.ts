import { connect, createServer, type Socket } from 'node:net'

/** What becomes of bytes that a client sends, decided chunk by chunk. */
export type Fate =
  /** Passed on. */
  | 'pass'
  /** Not passed on; the connection breaks. */
  | 'cut'
  /** Passed on; the connection breaks when the answer comes, which the client never sees. */
  | 'lose-answer'
  /** Not passed on, and nothing more either way: as if the client had been stopped or the network were gone. */
  | 'stall'

export interface PostgresProxy {
  /** The server's URL by way of the proxy. */
  readonly url: string
  /** Decides from now on; new connections too. */
  decide(rule: (sent: Buffer) => Fate): void
  /** Breaks every connection. */
  breakAll(): void
  stop(): Promise<void>
}

/** A TCP proxy before a PostgreSQL server, for faults at a chosen message. */
export async function startPostgresProxy(target: string): Promise<PostgresProxy> {
  const { hostname, port } = new URL(target)
  const pairs = new Set<readonly [Socket, Socket]>()
  let rule: (sent: Buffer) => Fate = () => 'pass'
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    const pair = [client, upstream] as const
    pairs.add(pair)
    let state: Fate = 'pass'
    const end = () => {
      pairs.delete(pair)
      if (state === 'stall') return
      client.destroy()
      upstream.destroy()
    }
    for (const socket of pair) socket.on('error', () => {}).on('close', end)
    client.on('data', (sent) => {
      if (state === 'stall') return
      state = rule(sent)
      if (state === 'cut') end()
      else if (state !== 'stall') upstream.write(sent)
    })
    upstream.on('data', (answer) => {
      if (state === 'lose-answer') end()
      else if (state !== 'stall') client.write(answer)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const url = new URL(target)
  url.port = String(typeof address === 'object' && address !== null ? address.port : 0)
  const breakAll = () => {
    for (const sockets of pairs) for (const socket of sockets) socket.destroy()
  }
  return {
    url: url.href,
    decide: (next) => {
      rule = next
    },
    breakAll,
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      breakAll()
      await closed
    },
  }
}
