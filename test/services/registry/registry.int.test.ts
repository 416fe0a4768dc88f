import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { schemaText, subjectOf } from '#schemas/published.ts'
import { openRegistry, registerAll } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics } from '#services/platform/metrics.ts'
import { type RunningRegistry, startRegistry } from '#services/registry/program.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { eventually } from '../../support/eventually.ts'
import { MemoryLog } from '../../support/memory-log.ts'

const topic = 'test.schemas'
const v1 = JSON.stringify({ type: 'record', name: 'acme.R', fields: [{ name: 'a', type: 'string' }] })
const v2 = JSON.stringify({
  type: 'record',
  name: 'acme.R',
  fields: [
    { name: 'a', type: 'string' },
    { name: 'b', type: 'int', default: 0 },
  ],
})
const bad = JSON.stringify({
  type: 'record',
  name: 'acme.R',
  fields: [
    { name: 'a', type: 'string' },
    { name: 'b', type: 'int' },
  ],
})

let log: MemoryLog
let registry: RunningRegistry
const running: RunningRegistry[] = []

async function start(on: MemoryLog = log.connect()): Promise<RunningRegistry> {
  const started = await startRegistry({ log: on, topic, port: 0 })
  running.push(started)
  return started
}

beforeEach(async () => {
  log = new MemoryLog()
  registry = await start()
})

afterEach(async () => {
  log.broker.unavailable = false
  await Promise.all(running.splice(0).map((each) => each.close()))
})

async function call(method: string, path: string, body?: unknown, at: RunningRegistry = registry) {
  const response = await fetch(at.url + path, {
    method,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
  })
  const type = response.headers.get('content-type')
  return { status: response.status, type, body: (await response.json()) as Record<string, unknown> }
}

const register = (subject: string, schema: string, at?: RunningRegistry) =>
  call('POST', `/subjects/${subject}/versions`, { schema }, at)

describe('registration', () => {
  test('gives ids from 1, the same one for the same schema, also under another subject and written otherwise', async () => {
    expect((await register('s', v1)).body).toEqual({ id: 1 })
    expect((await register('s', v1)).body).toEqual({ id: 1 })
    expect((await register('other', JSON.stringify(JSON.parse(v1), null, 4))).body).toEqual({ id: 1 })
    expect((await register('s', v2)).body).toEqual({ id: 2 })
    expect((await register('s', v1)).body, 'an older version again').toEqual({ id: 1 })
    expect((await call('GET', '/subjects')).body).toEqual(['other', 's'])
    expect((await call('GET', '/subjects/s/versions')).body).toEqual([1, 2])
    expect((await call('GET', '/subjects/s/versions/latest')).body).toEqual({
      subject: 's',
      version: 2,
      id: 2,
      schema: v2,
    })
    expect((await call('GET', '/subjects/s/versions/1/schema')).body).toEqual(JSON.parse(v1))
    expect((await call('GET', '/schemas/ids/2')).body).toEqual({ schema: v2 })
    expect((await call('GET', '/schemas/ids/1/versions')).body).toEqual([
      { subject: 's', version: 1 },
      { subject: 'other', version: 1 },
    ])
    expect((await call('POST', '/subjects/s', { schema: v2 })).body).toMatchObject({ id: 2, version: 2 })
  })

  test('is decided one at a time: many at once get one id each and no gap', async () => {
    const schemas = Array.from({ length: 20 }, (_, i) => JSON.stringify({ type: 'fixed', name: 'F', size: i + 1 }))
    const answers = await Promise.all(schemas.map((schema, i) => register(`s${i}`, schema)))
    const ids = answers.map(({ body }) => body.id as number)
    expect(ids.toSorted((x, y) => x - y)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  test('takes a subject with a slash in its name', async () => {
    expect((await register('a%2Fb', v1)).status).toBe(200)
    expect((await call('GET', '/subjects')).body).toEqual(['a/b'])
    expect((await call('GET', '/subjects/a%2Fb/versions')).body).toEqual([1])
  })
})

describe('errors', () => {
  const invalidVersion = '/subjects/s/versions/zero'
  test.each([
    ['GET', '/subjects/none/versions', undefined, 404, 40401],
    ['GET', '/subjects/none/versions/1', undefined, 404, 40401],
    ['POST', '/subjects/none', { schema: v1 }, 404, 40401],
    ['GET', '/subjects/s/versions/7', undefined, 404, 40402],
    ['GET', invalidVersion, undefined, 422, 42202],
    ['GET', '/subjects/s/versions/0', undefined, 422, 42202],
    ['GET', '/schemas/ids/99', undefined, 404, 40403],
    ['GET', '/schemas/ids/x', undefined, 404, 40403],
    ['POST', '/subjects/s', { schema: v2 }, 404, 40403],
    ['POST', '/subjects/s/versions', { schema: '{' }, 422, 42201],
    ['POST', '/subjects/s/versions', {}, 422, 42201],
    ['POST', '/subjects/s/versions', { schema: v2, schemaType: 'PROTOBUF' }, 422, 42201],
    ['POST', '/subjects/s/versions', { schema: v2, references: [{ name: 'x' }] }, 422, 42201],
    ['POST', '/subjects/s/versions', 'no json', 400, 400],
    ['POST', '/subjects/s/versions', { schema: bad }, 409, 409],
    ['POST', '/subjects/a%00b/versions', { schema: v1 }, 422, 42208],
    ['GET', '/config/s', undefined, 404, 40408],
    ['PUT', '/config', { compatibility: 'SIDEWAYS' }, 422, 42203],
    ['GET', '/nowhere', undefined, 404, 404],
  ])('%s %s %j is %i with code %i', async (method, path, body, status, code) => {
    await register('s', v1)
    const answer = await call(method, path, body)
    expect(answer).toMatchObject({ status, type: 'application/vnd.schemaregistry.v1+json' })
    expect(answer.body).toEqual({ error_code: code, message: expect.any(String) })
  })

  test('a schema is only called missing when the log could be asked', async () => {
    log.broker.unavailable = true
    expect(await call('GET', '/schemas/ids/99')).toMatchObject({ status: 500, body: { error_code: 50001 } })
  })
})

describe('compatibility', () => {
  test('is BACKWARD unless set otherwise, per subject or for all', async () => {
    await register('s', v1)
    expect((await call('GET', '/config')).body).toEqual({ compatibilityLevel: 'BACKWARD' })
    expect((await register('s', bad)).status).toBe(409)
    expect((await call('PUT', '/config/s', { compatibility: 'NONE' })).body).toEqual({ compatibility: 'NONE' })
    expect((await call('GET', '/config/s')).body).toEqual({ compatibilityLevel: 'NONE' })
    expect((await register('s', bad)).status).toBe(200)
    await call('PUT', '/config', { compatibility: 'FULL' })
    expect((await call('GET', '/config/other?defaultToGlobal=true')).body).toEqual({ compatibilityLevel: 'FULL' })
  })

  test('can be asked for before anything is registered', async () => {
    await register('s', v1)
    await register('s', v2)
    const ask = (version: string, schema: string) =>
      call('POST', `/compatibility/subjects/s/versions${version}?verbose=true`, { schema })
    expect((await ask('/latest', v1)).body).toEqual({ is_compatible: true, messages: [] })
    expect((await ask('/1', bad)).body).toEqual({
      is_compatible: false,
      messages: [expect.stringContaining('no matching field for default-less')],
    })
    expect((await ask('/7', v1)).body).toMatchObject({ error_code: 40402 })
    expect((await ask('', v1)).body).toMatchObject({ is_compatible: true })
    expect((await call('GET', '/subjects/s/versions')).body, 'asking registers nothing').toEqual([1, 2])
  })
})

describe('as a program', () => {
  test('says how it is, counts its requests, and keeps Confluent’s error body', async () => {
    const telemetry = { logger: createLogger('registry', 'silent'), metrics: createMetrics('registry') }
    const equipped = await startRegistry({ log: log.connect(), topic, port: 0, telemetry })
    running.push(equipped)
    expect(await call('GET', '/healthcheck', undefined, equipped)).toMatchObject({
      status: 200,
      body: { status: 'ok' },
    })
    expect(await call('GET', '/readiness', undefined, equipped)).toMatchObject({ status: 200 })
    expect(await call('GET', '/schemas/ids/9', undefined, equipped)).toMatchObject({ body: { error_code: 40403 } })
    expect(await (await fetch(`${equipped.url}/metrics`)).text()).toContain('http_requests_total{')
    log.broker.unavailable = true
    log.broker.wake()
    await eventually(async () => (await call('GET', '/readiness', undefined, equipped)).status === 503, {
      timeoutMs: 5_000,
    })
    log.broker.unavailable = false
    await eventually(async () => (await call('GET', '/readiness', undefined, equipped)).status === 200, {
      timeoutMs: 5_000,
    })
  })
})

describe('in the log', () => {
  test('everything is there after a restart, also when the topic was compacted', async () => {
    await register('s', v1)
    await register('s', v2)
    await call('PUT', '/config/s', { compatibility: 'FULL' })
    await call('PUT', '/config/s', { compatibility: 'NONE' })
    await registry.close()
    log.compact(topic)
    const next = await start()
    expect((await call('GET', '/subjects/s/versions/2', undefined, next)).body).toMatchObject({ id: 2, schema: v2 })
    expect((await call('GET', '/config/s', undefined, next)).body).toEqual({ compatibilityLevel: 'NONE' })
    expect((await register('t', JSON.stringify('int'), next)).body).toEqual({ id: 3 })
  })

  test('a second instance sees what the first registered, and they never give out one id twice', async () => {
    const second = await start()
    await register('s', v1)
    expect((await call('GET', '/schemas/ids/1', undefined, second)).body).toEqual({ schema: v1 })
    const schemas = Array.from({ length: 10 }, (_, i) => JSON.stringify({ type: 'fixed', name: 'F', size: i + 1 }))
    const answers = await Promise.all(schemas.map((schema, i) => register(`s${i}`, schema, i % 2 ? second : registry)))
    const ids = answers.map(({ body }) => body.id as number)
    expect(ids.toSorted((x, y) => x - y)).toEqual(Array.from({ length: 10 }, (_, i) => i + 2))
  })

  test('a commit whose reply was lost is found, not repeated', async () => {
    log.commitHooks.after = () => {
      delete log.commitHooks.after
      throw new LoyaltyError('log_commit_unknown', 'the reply was lost')
    }
    expect((await register('s', v1)).body).toEqual({ id: 1 })
    expect(log.records(topic)).toHaveLength(1)
  })

  test('a damaged record does not keep the others from being served', async () => {
    await log.writer().append(topic, 0, [{ key: Buffer.from('{'), value: Buffer.from('nonsense') }])
    expect((await register('s', v1)).body).toEqual({ id: 1 })
    const next = await start()
    expect((await call('GET', '/schemas/ids/1', undefined, next)).status).toBe(200)
  })

  test('while the log is away, what is known is served and known schemas are registered; new ones are refused', async () => {
    await register('s', v1)
    log.broker.unavailable = true
    expect((await call('GET', '/schemas/ids/1')).status).toBe(200)
    expect((await register('s', v1)).body).toEqual({ id: 1 })
    expect((await register('s', v2)).status).toBe(500)
    log.broker.unavailable = false
    expect((await register('s', v2)).body).toEqual({ id: 2 })
  })
})

describe('with the Confluent client for kafkajs', () => {
  test('registers, encodes, decodes and is refused as with Confluent’s own server', async () => {
    const client = new SchemaRegistry({ host: registry.url })
    const { id } = await client.register({ type: SchemaType.AVRO, schema: v1 }, { subject: 's' })
    const bytes = await client.encode(id, { a: 'x' })
    expect(await new SchemaRegistry({ host: registry.url }).decode(bytes)).toEqual({ a: 'x' })
    expect(await client.getLatestSchemaId('s')).toBe(id)
    expect(await client.getRegistryIdBySchema('s', { type: SchemaType.AVRO, schema: v1 })).toBe(id)
    expect((await call('GET', '/config/s')).body).toEqual({ compatibilityLevel: 'BACKWARD' })
    await expect(client.register({ type: SchemaType.AVRO, schema: bad }, { subject: 's' })).rejects.toMatchObject({
      status: 409,
    })
    await expect(client.getSchema(99)).rejects.toMatchObject({ status: 404 })
  })

  test('all our events are registered under their subjects, again without change', async () => {
    const topics = topicsOf('test')
    const ids = await registerAll(openRegistry({ url: registry.url }), topics)
    expect(new Set(Object.values(ids)).size).toBe(10)
    const written = log.records(topic).length
    expect(await registerAll(openRegistry({ url: registry.url }), topics)).toEqual(ids)
    expect(log.records(topic)).toHaveLength(written)
    const subject = subjectOf('TransactionRecorded', topics)
    expect((await call('GET', `/subjects/${subject}/versions/latest/schema`)).body).toEqual(
      JSON.parse(schemaText('TransactionRecorded')),
    )
  })

  test('our client tells a missing schema from a registry that does not answer', async () => {
    const client = openRegistry({ url: registry.url, retries: 0, timeoutMs: 2_000 })
    expect(await client.schemaById(99)).toBeNull()
    log.broker.unavailable = true
    await expect(client.schemaById(98)).rejects.toMatchObject({ code: 'registry_unavailable', retriable: true })
    log.broker.unavailable = false
    await expect(client.register('s', '{"type":"record"}')).rejects.toMatchObject({ retriable: false })
    await client.register('s', v1)
    await expect(client.register('s', bad)).rejects.toMatchObject({ code: 'registry_incompatible', retriable: false })
    await registry.close()
    await expect(client.schemaById(97)).rejects.toMatchObject({ code: 'registry_unavailable', retriable: true })
    await expect(client.register('s', v1)).rejects.toMatchObject({ code: 'registry_unavailable', retriable: true })
  })
})
