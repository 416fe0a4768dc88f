import { Readable } from 'node:stream'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { PostgresConfig } from './config.ts'
import type { Finished, Offered, Source } from './source.ts'

const rowsAtOnce = 5_000

/**
 * The rows of a query, as a CSV file with the names of its columns, values as PostgreSQL writes them (dates ISO, UTC). With
 * a watermark each run asks for what is behind the last value seen.
 */
export function postgresSource(config: PostgresConfig, nowMs: () => number): Source {
  return {
    async *offers(watermark) {
      const stamp = new Date(nowMs()).toISOString().replace(/[:.]/g, '-')
      yield {
        fileName: `${config.name}-${stamp}.csv`,
        version: stamp,
        profile: config.profile,
        open: () => openQuery(config, watermark),
      }
    },
    // There is nothing to put away: the watermark says what was taken.
    putAway: async () => {},
    close: async () => {},
  }
}

async function openQuery(config: PostgresConfig, watermark: string | null): Promise<Offered> {
  const client = new pg.Client({ connectionString: config.url, application_name: 'loyalty-source' })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(`begin read only; set local datestyle to iso; set local time zone 'UTC'`)
  } catch (cause) {
    await client.end().catch(() => {})
    throw unavailable(config, cause)
  }
  let finished: Finished = { state: 'empty', watermark: null }
  return {
    content: Readable.from(csvOf(config, client, watermark, (end) => (finished = end))),
    finish: async () => finished,
  }
}

async function* csvOf(
  config: PostgresConfig,
  client: pg.Client,
  watermark: string | null,
  onEnd: (end: Finished) => void,
): AsyncGenerator<string> {
  const { query, watermark: mark } = config
  try {
    const cursor = client.query(
      new Cursor<(string | null)[]>(query, mark === undefined ? [] : [watermark ?? mark.initial], {
        rowMode: 'array',
        types: { getTypeParser: () => (text: string) => text },
      } as never),
    )
    let column = -1
    let last: string | null = null
    let rows = 0
    for (;;) {
      const { rows: page, names } = await readPage(cursor)
      if (rows === 0) {
        yield lineOf(names)
        column = mark === undefined ? -1 : names.indexOf(mark.column)
        if (mark !== undefined && column < 0)
          throw new Error(`the query has no column ${mark.column}, which the watermark is taken from`)
      }
      if (page.length === 0) break
      rows += page.length
      yield page.map(lineOf).join('')
      if (column >= 0) last = page.at(-1)![column] ?? last
    }
    onEnd({ state: rows === 0 ? 'empty' : 'whole', watermark: last })
  } catch (cause) {
    throw unavailable(config, cause)
  } finally {
    await client.end().catch(() => {})
  }
}

function readPage(cursor: Cursor<(string | null)[]>): Promise<{ rows: (string | null)[][]; names: string[] }> {
  return new Promise((resolve, reject) => {
    // Behind the last row there is no result, whatever the types say.
    cursor.read(rowsAtOnce, (error, rows, result?: pg.QueryResult) => {
      if (error) reject(error)
      else resolve({ rows, names: (result?.fields ?? []).map((field) => field.name) })
    })
  })
}

function lineOf(cells: readonly (string | null)[]): string {
  return `${cells.map((cell) => (cell === null ? '' : /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')}\n`
}

function unavailable({ name }: PostgresConfig, cause: unknown): LoyaltyError {
  return new LoyaltyError('source_unavailable', `the database of source ${name}: ${messageOf(cause)}`, {
    retriable: true,
    details: { source: name },
    cause,
  })
}
