import createRequest from 'kafkajs/src/protocol/request.js'
import { expect, test } from 'vitest'

/** Patch without a public issue: a request was copied, and its buffer zeroed, several times over while it was framed. */
test('a request is framed by its length, its kind, its correlation id and the client, in one buffer of its size', async () => {
  const payload = Buffer.alloc(3_000_000, 7)
  const { buffer } = await createRequest({
    correlationId: 5,
    clientId: 'me',
    request: { apiKey: 0, apiVersion: 7, encode: async () => ({ buf: payload, buffer: payload }) },
  })
  const header = Buffer.from([0, 0, 0, 7, 0, 0, 0, 5, 0, 2, ...Buffer.from('me')])
  expect(buffer.readInt32BE(0)).toBe(header.length + payload.length)
  expect(buffer.subarray(4, 4 + header.length).equals(header)).toBe(true)
  expect(buffer.subarray(4 + header.length).equals(payload)).toBe(true)
  expect(buffer.buffer.byteLength).toBe(buffer.length)
})
