import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, gzip, inflate, zstdDecompress } from 'node:zlib'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Answer, Engine } from './engine.ts'
import { formatOf, statementOf } from './statement.ts'

export interface Credentials {
  readonly user: string
  readonly password: string
}

/** Parameters of the HTTP interface itself; every other one is a setting or `param_<name>`. */
const interfaceParams = new Set([
  'query',
  'database',
  'default_format',
  'query_id',
  'user',
  'password',
  'quota_key',
  'role',
  'session_id',
  'session_timeout',
  'session_check',
  'session_timezone',
  'compress',
  'decompress',
  'buffer_size',
  'wait_end_of_query',
  'stacktrace',
  'enable_http_compression',
])

const decoders: Readonly<Record<string, (bytes: Uint8Array) => Promise<Uint8Array>>> = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
}
const compress = promisify(gzip)

const contentTypes: Readonly<Record<string, string>> = {
  CSV: 'text/csv; charset=UTF-8; header=absent',
  CSVWithNames: 'text/csv; charset=UTF-8; header=present',
  JSON: 'application/json; charset=UTF-8',
  JSONCompact: 'application/json; charset=UTF-8',
  JSONEachRow: 'application/x-ndjson; charset=UTF-8',
  JSONCompactEachRow: 'application/x-ndjson; charset=UTF-8',
}

/**
 * ClickHouse's HTTP interface over an engine in this process, as far as @clickhouse/client and BI tools use it: GET and
 * POST, `?query=`, settings and `param_*` in the URL or as multipart form, compressed bodies both ways, `/ping`. There
 * are no sessions: `session_id` is accepted and changes nothing.
 */
export function httpFront(engine: Engine, credentials: Credentials | null): Server {
  // As ClickHouse's http_max_uri_size: parameters travel in the URL.
  const server = createServer({ maxHeaderSize: 1024 * 1024 }, (request, response) => {
    handle(engine, credentials, request, response).catch((error: unknown) => {
      if (!response.headersSent) sendError(response, error, engine.version)
      else response.destroy()
    })
  })
  // A client of another process may keep its connection for long, and sends its next request on it at any moment.
  server.keepAliveTimeout = 60_000
  server.requestTimeout = 0
  return server
}

async function handle(
  engine: Engine,
  credentials: Credentials | null,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  if (url.pathname === '/ping') return send(response, 200, 'text/plain; charset=UTF-8', Buffer.from('Ok.\n'))
  if (url.pathname !== '/')
    return send(response, 404, 'text/plain; charset=UTF-8', Buffer.from(`There is no handle ${url.pathname}\n`))
  const body = await readBody(request)
  const input = await inputOf(request, url, body)
  authorise(credentials, request, input.params)
  const statement = statementOf(input.params.get('query'), input.body)
  if (statement.sql.trim() === '' && request.method === 'GET')
    return send(response, 200, 'text/plain; charset=UTF-8', Buffer.from('Ok.\n'))
  const format = header(request, 'x-clickhouse-format') ?? input.params.get('default_format') ?? 'TabSeparated'
  const settings = new Map<string, string>()
  const params = new Map<string, string>()
  for (const [name, value] of input.params) {
    if (name.startsWith('param_')) params.set(name.slice(6), value)
    else if (!interfaceParams.has(name)) settings.set(name, value)
  }
  const database = input.params.get('database') ?? header(request, 'x-clickhouse-database')
  const answer = await engine.run({ ...statement, database, format, settings, params })
  await sendAnswer(request, response, input.params, formatOf(statement.sql) ?? format, answer)
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
  const encoding = header(request, 'content-encoding')
  if (encoding === null || encoding === 'identity' || bytes.length === 0) return bytes
  const decode = decoders[encoding]
  if (decode === undefined) throw exception(432, `Unknown content encoding ${encoding}`, 'UNKNOWN_CODEC')
  return decode(bytes)
}

/** Large parameters arrive as multipart form, with the statement among them. */
async function inputOf(
  request: IncomingMessage,
  url: URL,
  body: Uint8Array,
): Promise<{ params: URLSearchParams; body: Uint8Array }> {
  const type = header(request, 'content-type')
  if (type === null || !type.startsWith('multipart/form-data')) return { params: url.searchParams, body }
  const form = await new Response(Buffer.from(body), { headers: { 'content-type': type } }).formData()
  const params = new URLSearchParams(url.searchParams)
  for (const [name, value] of form) params.set(name, typeof value === 'string' ? value : await value.text())
  return { params, body: new Uint8Array() }
}

function authorise(credentials: Credentials | null, request: IncomingMessage, params: URLSearchParams): void {
  if (credentials === null) return
  const basic = header(request, 'authorization')?.match(/^Basic (.+)$/i)?.[1]
  const [user, ...rest] = basic === undefined ? [] : Buffer.from(basic, 'base64').toString().split(':')
  const given = {
    user: user ?? header(request, 'x-clickhouse-user') ?? params.get('user') ?? 'default',
    password:
      basic === undefined ? (header(request, 'x-clickhouse-key') ?? params.get('password') ?? '') : rest.join(':'),
  }
  if (same(given.user, credentials.user) && same(given.password, credentials.password)) return
  throw exception(
    516,
    `${given.user}: Authentication failed: password is incorrect, or there is no user with such name.`,
    'AUTHENTICATION_FAILED',
  )
}

function same(a: string, b: string): boolean {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && timingSafeEqual(left, right)
}

async function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  params: URLSearchParams,
  format: string,
  answer: Answer,
): Promise<void> {
  response.setHeader('X-ClickHouse-Format', format)
  response.setHeader('X-ClickHouse-Timezone', 'UTC')
  response.setHeader('X-ClickHouse-Query-Id', params.get('query_id') ?? crypto.randomUUID())
  response.setHeader(
    'X-ClickHouse-Summary',
    JSON.stringify({
      read_rows: String(answer.readRows),
      read_bytes: String(answer.readBytes),
      written_rows: String(answer.writtenRows),
      written_bytes: String(answer.writtenBytes),
      total_rows_to_read: '0',
      result_rows: String(answer.writtenRows),
      result_bytes: String(answer.writtenBytes),
      elapsed_ns: String(Math.round(answer.elapsedMs * 1e6)),
    }),
  )
  let bytes = answer.bytes
  const accepts = (header(request, 'accept-encoding') ?? '').includes('gzip')
  if (accepts && params.get('enable_http_compression') === '1' && bytes.length > 1_024) {
    bytes = await compress(bytes, { level: 1 })
    response.setHeader('Content-Encoding', 'gzip')
  }
  send(response, 200, contentTypes[format] ?? 'text/plain; charset=UTF-8', bytes)
}

function send(response: ServerResponse, status: number, type: string, bytes: Uint8Array): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': bytes.length })
  response.end(bytes)
}

function sendError(response: ServerResponse, error: unknown, version: string): void {
  const known = error instanceof LoyaltyError ? error.details.exceptionCode : undefined
  const code = typeof known === 'number' ? known : 1002
  const text =
    typeof known === 'number' ? messageOf(error) : `Code: 1002. DB::Exception: ${messageOf(error)}. (UNKNOWN_EXCEPTION)`
  response.setHeader('X-ClickHouse-Exception-Code', String(code))
  const body = Buffer.from(`${text} (version ${version} (embedded))\n`)
  send(response, statusOf(code), 'text/plain; charset=UTF-8', body)
}

/** HTTP status of a ClickHouse exception, as its server maps them (HTTPHandler, exceptionCodeToHTTPStatus). */
function statusOf(code: number): number {
  if (code === 516 || code === 192 || code === 193) return 403
  if (code === 60 || code === 81 || code === 46 || code === 115 || code === 47) return 404
  if ([6, 26, 27, 33, 36, 38, 41, 42, 43, 44, 50, 53, 62, 70, 72, 117, 130, 131, 456].includes(code)) return 400
  if (code === 497 || code === 164) return 403
  return 500
}

function exception(exceptionCode: number, text: string, name: string): LoyaltyError {
  return new LoyaltyError('clickhouse_exception', `Code: ${exceptionCode}. DB::Exception: ${text} (${name})`, {
    details: { exceptionCode },
  })
}

function header(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? null
}
