import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import loggers from 'kafkajs/src/loggers/index.js'
import Connection from 'kafkajs/src/network/connection.js'
import createSocketFactory from 'kafkajs/src/network/socketFactory.js'
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../../../../support/eventually.ts'

let server: Server | undefined
let connection: Connection | undefined

afterEach(async () => {
  await connection?.disconnect()
  server?.close()
})

/** A connection to a broker that answers each request by `answer(socket, correlationId, n)`, n counting from 1. */
async function connected(answer: (socket: Socket, correlationId: number, n: number) => void): Promise<Connection> {
  let count = 0
  server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (request) => answer(socket, request.readInt32BE(8), ++count))
  })
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  connection = new Connection({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    logger: loggers.createLogger({ level: loggers.LEVELS.NOTHING, logCreator: () => () => {} }),
    socketFactory: createSocketFactory(),
    requestTimeout: 5_000,
    connectionTimeout: 1_000,
  })
  await connection.connect()
  return connection
}

function frame(correlationId: number, payload: string): Buffer {
  const bytes = Buffer.alloc(8 + payload.length)
  bytes.writeInt32BE(4 + payload.length, 0)
  bytes.writeInt32BE(correlationId, 4)
  bytes.write(payload, 8)
  return bytes
}

const request = {
  request: {
    ...{ apiKey: 18, apiVersion: 0, apiName: 'ApiVersions' },
    encode: async () => ({ buf: Buffer.alloc(0), buffer: Buffer.alloc(0) }),
  },
  response: { decode: async (payload: Buffer) => payload, parse: async (payload: Buffer) => payload },
}

/** No public issue was found for this one: what was left of a half response was taken for the start of the next. */
test('a connection that broke in the middle of a response reads the next response whole after connecting again', async () => {
  const client = await connected((socket, correlationId, n) => {
    if (n > 1) socket.write(frame(correlationId, 'second'))
    else socket.write(frame(correlationId, 'first').subarray(0, 10), () => socket.resetAndDestroy())
  })
  await expect(client.send(request)).rejects.toThrow(/onnection/)
  await eventually(() => !client.isConnected())
  await client.connect()
  expect(String(await client.send(request))).toBe('second')
})

/** Patch of tulios/kafkajs#1751 (PR #1768): the queue woke hundreds of times a second for ever. */
test('a connection at rest has no timer, and none is ever set for the past', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error) => warnings.push(warning)
  process.on('warning', onWarning)
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
  const before = timers()
  const client = await connected((socket, correlationId) =>
    setTimeout(() => socket.write(frame(correlationId, 'answer')), 20),
  )
  for (let i = 0; i < 3; i++) await client.send(request)
  await eventually(() => timers() <= before, { what: 'a connection without timers' })
  const answer = client.send(request)
  await eventually(() => timers() > before, { everyMs: 1, what: 'a watch over the request under way' })
  await answer
  process.off('warning', onWarning)
  expect(warnings.filter(({ name }) => name === 'TimeoutNegativeWarning')).toEqual([])
})
