import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { schemaText } from '#schemas/published.ts'
import { openRegistry } from '#schemas/registry.ts'

/** What stands where a registry should be says this, one answer after the other, the last one for good. */
let answers: readonly { status: number; body: string; type?: string }[]
let asked: number
let server: Server
let url: string

const missing = { status: 404, body: '{"error_code":40403,"message":"Schema 7 not found"}' }
const found = { status: 200, body: JSON.stringify({ schema: schemaText('TransactionRecorded') }) }
const html = '<html><body>Bad Gateway</body></html>'

beforeEach(async () => {
  asked = 0
  server = createServer((_, response) => {
    const { status, body, type } = answers[Math.min(asked++, answers.length - 1)]!
    response.writeHead(status, { 'content-type': type ?? 'application/vnd.schemaregistry.v1+json' }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(() => new Promise((resolve) => server.close(resolve)))

const registry = (retries = 0) => openRegistry({ url: `${url}/`, retries, confirmMs: 0, timeoutMs: 2_000 })

test.each([
  ['a page with status 200', [{ status: 200, body: html, type: 'text/html' }]],
  ['a page that says it is JSON', [{ status: 200, body: html }]],
  ['a page with status 404', [{ status: 404, body: html, type: 'text/html' }]],
  ['a 404 of another service', [{ status: 404, body: '{"message":"no such route"}' }]],
  [
    'the 404 of a path that is no registry',
    [{ status: 404, body: '{"error_code":404,"message":"HTTP 404 Not Found"}' }],
  ],
  ['a 200 without a schema', [{ status: 200, body: '{"status":"starting"}' }]],
  ['a 200 with null', [{ status: 200, body: 'null' }]],
  ['too many requests', [{ status: 429, body: '{"error_code":429}' }]],
  ['a store that is away', [{ status: 500, body: '{"error_code":50001}' }]],
  ['a proxy whose registry is away', [{ status: 503, body: '' }]],
  ['who are you', [{ status: 401, body: '{"error_code":40101}' }]],
  ['missing first, and then nothing to be relied on', [missing, { status: 502, body: html }]],
])('%s says nothing about a schema: the value waits', async (_, said) => {
  answers = said
  await expect(registry().schemaById(7)).rejects.toMatchObject({ code: 'registry_unavailable', retriable: true })
})

test('a registry out of reach says nothing about a schema either', async () => {
  await new Promise((resolve) => server.close(resolve))
  await expect(registry(1).schemaById(7)).rejects.toMatchObject({ code: 'registry_unavailable', retriable: true })
})

test('a schema is missing when the registry has said so twice', async () => {
  answers = [missing]
  expect(await registry().schemaById(7)).toBeNull()
  expect(asked).toBe(2)
})

test('thousands of ids that nobody gave out do not wait one after the other', async () => {
  answers = [missing]
  const client = openRegistry({ url, retries: 0, confirmMs: 500 })
  const startedMs = performance.now()
  for (let id = 1; id <= 20; id++) expect(await client.schemaById(id)).toBeNull()
  expect(asked).toBe(40)
  expect(performance.now() - startedMs).toBeLessThan(5_000)
})

test('a registry that hears of a schema a moment later has it', async () => {
  answers = [missing, found]
  expect((await registry().schemaById(7))?.name).toBe('loyalty.events.TransactionRecorded')
})

test('what fails for a moment is asked for again, what was found never', async () => {
  answers = [{ status: 503, body: '' }, found]
  const client = registry(1)
  expect(await client.schemaById(7)).toBe(await client.schemaById(7))
  expect(asked).toBe(2)
})

test.each([
  ['protobuf', { schemaType: 'PROTOBUF', schema: 'syntax = "proto3";' }, /is no usable Avro schema/],
  ['no schema at all', { schema: '{"type":"unheard-of"}' }, /is no usable Avro schema/],
  [
    'a part of one',
    { schema: '"string"', references: [{ name: 'a', subject: 'b', version: 1 }] },
    /put all types into/,
  ],
])('a schema that is %s is confirmed, and unusable for good', async (_, body, message) => {
  answers = [{ status: 200, body: JSON.stringify(body) }]
  const refused = expect(registry(2).schemaById(7)).rejects
  await refused.toMatchObject({ code: 'registry_schema_unusable', message: expect.stringMatching(message) })
  expect(asked).toBe(1)
})
