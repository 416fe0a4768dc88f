import { request } from 'node:http'
import { gunzipSync, gzipSync } from 'node:zlib'
import { ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isLocked, lockDirectory } from '#services/standalone/chdb/directory-lock.ts'
import { startChdb } from '#services/standalone/chdb/start.ts'
import { startClickHouse, type TestClickHouse } from '../../../support/clickhouse.ts'
import { eventually } from '../../../support/eventually.ts'
import { tempDir } from '../../../support/temp-dir.ts'

let clickhouse: TestClickHouse

beforeAll(async () => {
  clickhouse = await startClickHouse()
  await clickhouse.client.command({
    query: 'CREATE TABLE pairs (id UInt64, text String) ENGINE = MergeTree ORDER BY id',
  })
})
afterAll(() => clickhouse.stop())

const ask = (query: string, init: RequestInit = {}, more = '') =>
  fetch(`${clickhouse.url}/?query=${encodeURIComponent(query)}${more}`, init)

describe('the HTTP front of the embedded ClickHouse engine', () => {
  it('serves @clickhouse/client: insert, query, typed parameters, settings', async () => {
    const { client } = clickhouse
    const text = `quote ' back \\ tab \t new\nline Чемпионы`
    const inserted = await client.insert({ table: 'pairs', values: [{ id: 1, text }], format: 'JSONEachRow' })
    expect(inserted.summary?.written_rows).toBe('1')
    const rows = await client.query({
      query: 'SELECT id, text FROM pairs WHERE text = {text:String} AND id IN {ids:Array(UInt64)}',
      query_params: { text, ids: [1, 2] },
      format: 'JSONEachRow',
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    })
    expect(await rows.json()).toEqual([{ id: 1, text }])
  })

  it.each([true, false])('takes large parameters (as a form: %s)', async (use_multipart_params) => {
    const ids = Array.from({ length: 5_000 }, (_, index) => index)
    const rows = await clickhouse.client.query({
      query: 'SELECT length({ids:Array(UInt64)}) AS n',
      query_params: { ids },
      format: 'JSONEachRow',
      use_multipart_params,
    })
    expect(await rows.json()).toEqual([{ n: 5_000 }])
  })

  it('leaves no setting behind for the next request', async () => {
    const setting = "SELECT getSetting('max_threads') = 7 AS mine FORMAT TSV"
    expect(await (await ask(setting, {}, '&max_threads=7')).text()).toBe('1\n')
    expect(await (await ask(setting)).text()).toBe('0\n')
  })

  it('keeps parameters of requests at the same time apart', async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, n) => {
        const rows = await clickhouse.client.query({
          query: 'SELECT {n:UInt32} AS n FROM numbers(50000) GROUP BY n',
          query_params: { n },
          format: 'JSONEachRow',
        })
        return (await rows.json<{ n: number }>())[0]?.n
      }),
    )
    expect(answers).toEqual(Array.from({ length: 60 }, (_, n) => n))
  })

  it("answers errors with ClickHouse's code, text and status", async () => {
    const unknown = await ask('SELECT * FROM nowhere')
    expect(unknown.status).toBe(404)
    expect(unknown.headers.get('x-clickhouse-exception-code')).toBe('60')
    expect(await unknown.text()).toMatch(/^Code: 60\. DB::Exception: .*nowhere.*\(UNKNOWN_TABLE\)/)
    const rejected = clickhouse.client.query({ query: 'SELECT (1' })
    await expect(rejected).rejects.toMatchObject({ code: '62', type: 'SYNTAX_ERROR' })
  })

  it('reads the statement from URL, body, or both, with default_format', async () => {
    expect(
      await (await fetch(clickhouse.url, { method: 'POST', body: 'SELECT 1 AS x FORMAT JSONEachRow' })).text(),
    ).toBe('{"x":1}\n')
    const both = await ask('SELECT 1 AS x,', { method: 'POST', body: '2 AS y' }, '&default_format=CSV')
    expect(await both.text()).toBe('1,2\n')
    expect(both.headers.get('x-clickhouse-format')).toBe('CSV')
    expect(JSON.parse(both.headers.get('x-clickhouse-summary') ?? '{}')).toMatchObject({ read_rows: '1' })
  })

  it('takes binary and compressed data, in the body alone and after a query in the URL', async () => {
    const row = (id: number) => {
      const bytes = Buffer.alloc(11)
      bytes.writeBigUInt64LE(BigInt(id), 0)
      bytes.set([2, 0xff, 0x00], 8)
      return bytes
    }
    const insert = 'INSERT INTO loyalty.pairs FORMAT RowBinary'
    await ask(insert, { method: 'POST', body: gzipSync(row(100)), headers: { 'content-encoding': 'gzip' } })
    await fetch(clickhouse.url, { method: 'POST', body: Buffer.concat([Buffer.from(`${insert}\n`), row(101)]) })
    const stored = await ask('SELECT id, hex(text) FROM loyalty.pairs WHERE id >= 100 ORDER BY id FORMAT TSV')
    expect(await stored.text()).toBe('100\tFF00\n101\tFF00\n')
  })

  it('takes data that look like the end of a statement', async () => {
    const row = (id: number) => Buffer.from([id, 0, 0, 0, 0, 0, 0, 0, 5, 0x0a, 0x0a, 0x3b, 0x0a, 0x0a])
    const insert = 'INSERT INTO loyalty.pairs FORMAT RowBinary'
    await ask(insert, { method: 'POST', body: Buffer.concat([row(0x0a), row(0x0b)]) })
    const lines = '{"id":12,"text":"a"}\n\n{"id":13,"text":"b"}\n\n'
    await ask('INSERT INTO `loyalty`.`pairs` (id, `text`) FORMAT JSONEachRow', { method: 'POST', body: lines })
    await ask('INSERT INTO loyalty.pairs VALUES', { method: 'POST', body: "(14, 'a\n\n;b'),\n\n(15, 'c')" })
    const counted = await ask('SELECT count() FROM loyalty.pairs WHERE id BETWEEN 10 AND 15 FORMAT TSV')
    expect(await counted.text()).toBe('6\n')
  })

  it('takes an INSERT with VALUES, one from SELECT, and one without rows', async () => {
    await clickhouse.client.command({ query: "INSERT INTO pairs VALUES (200, 'a'), (201, 'b')" })
    await clickhouse.client.command({ query: "INSERT INTO pairs SELECT number + 202, 'c' FROM numbers(3)" })
    await clickhouse.client.insert({ table: 'pairs', values: [], format: 'JSONEachRow' })
    const counted = await ask('SELECT count() FROM loyalty.pairs WHERE id BETWEEN 200 AND 210 FORMAT TSV')
    expect(await counted.text()).toBe('5\n')
  })

  it('compresses answers for those who ask', async () => {
    const query = encodeURIComponent('SELECT number FROM numbers(10000) FORMAT TSV')
    const answer = await new Promise<{ encoding: string | undefined; bytes: Buffer }>((resolve, reject) => {
      request(
        `${clickhouse.url}/?enable_http_compression=1&query=${query}`,
        { headers: { 'accept-encoding': 'gzip' } },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('end', () =>
            resolve({ encoding: response.headers['content-encoding'], bytes: Buffer.concat(chunks) }),
          )
        },
      )
        .on('error', reject)
        .end()
    })
    expect(answer.encoding).toBe('gzip')
    expect(gunzipSync(answer.bytes).toString().split('\n').length).toBe(10_001)
  })

  it('answers /ping and inserts while a long query runs', async () => {
    let ended = false
    const slow = ask('SELECT sleep(1.5)').then(() => {
      ended = true
    })
    expect(await (await fetch(`${clickhouse.url}/ping`)).text()).toBe('Ok.\n')
    expect((await clickhouse.client.ping({ select: true })).success).toBe(true)
    await clickhouse.client.insert({ table: 'pairs', values: [{ id: 300, text: '' }], format: 'JSONEachRow' })
    expect(ended).toBe(false)
    await slow
  })
})

describe('the process of the embedded ClickHouse engine', () => {
  it('keeps everything it acknowledged when it is killed', async () => {
    await clickhouse.client.insert({
      table: 'pairs',
      values: Array.from({ length: 1_000 }, (_, index) => ({ id: 10_000 + index, text: 'kept' })),
      format: 'JSONEachRow',
    })
    await clickhouse.crash()
    const counted = await eventually(() => ask("SELECT count() FROM loyalty.pairs WHERE text = 'kept' FORMAT TSV"))
    expect(await counted.text()).toBe('1000\n')
  })

  it('refuses a data directory that another process has open', async () => {
    const dir = await tempDir()
    const first = await startChdb({ dataDir: dir.path })
    await expect(lockDirectory(dir.path)).rejects.toMatchObject({ code: 'data_directory_in_use' })
    await first.stop()
    const lock = await lockDirectory(dir.path)
    await lock.release()
    await dir.remove()
  })

  it('asks for a password where one is set', async () => {
    const dir = await tempDir()
    const chdb = await startChdb({ dataDir: dir.path, credentials: { user: 'loyalty', password: 'sécret' } })
    const clientOf = (password: string) =>
      createClient({ url: chdb.url, username: 'loyalty', password, log: { level: ClickHouseLogLevel.OFF } })
    const good = clientOf('sécret')
    const bad = clientOf('wrong')
    expect((await good.ping({ select: true })).success).toBe(true)
    await expect(bad.query({ query: 'SELECT 1' })).rejects.toMatchObject({ code: '516' })
    await good.close()
    await bad.close()
    await chdb.stop()
    await dir.remove()
  })

  it('serves on the port asked for, or on another one where that will do, and says why it does not start', async () => {
    const dir = await tempDir()
    const port = Number(new URL(clickhouse.url).port)
    await expect(startChdb({ dataDir: dir.path, port })).rejects.toMatchObject({
      code: 'port_in_use',
      message: expect.stringContaining('LOYALTY_CLICKHOUSE_PORT'),
    })
    const other = await startChdb({ dataDir: dir.path, port, orAnother: true })
    expect(other.url).not.toBe(clickhouse.url)
    await other.stop()
    const again = await startChdb({ dataDir: dir.path, port: Number(new URL(other.url).port) })
    expect(again.url).toBe(other.url)
    await again.stop()
    await dir.remove()
  })

  it('ends while it opens when its start is called off, and opens again', async () => {
    const dir = await tempDir()
    const calledOff = new AbortController()
    const starting = startChdb({ dataDir: dir.path, signal: calledOff.signal })
    await eventually(() => isLocked(dir.path), { what: 'the engine opening' })
    calledOff.abort()
    await expect(starting).rejects.toMatchObject({ code: 'interrupted' })
    expect(await isLocked(dir.path)).toBe(false)
    const again = await startChdb({ dataDir: dir.path })
    await again.stop()
    await dir.remove()
  })
})
