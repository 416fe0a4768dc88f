/**
 * What the HTTP front must know of a statement's text. ClickHouse itself parses; this only tells reads from writes, and
 * SQL from the data that may follow an INSERT.
 */

export interface Statement {
  readonly sql: string
  /** Data of an INSERT, in the format that the SQL names; null for everything else. */
  readonly data: Uint8Array | null
}

const comments = String.raw`(?:\s|--[^\n]*\n|/\*[\s\S]*?\*/)*`
const insertHead = new RegExp(`^${comments}INSERT\\s+INTO\\b`, 'i')
const inlineData = new RegExp(
  `^${comments}INSERT\\s+INTO\\b(?:(?!\\bSELECT\\b)[\\s\\S])*?\\bFORMAT\\s+[A-Za-z0-9_]+(?:[ \\t]*;?[ \\t]*\\r?\\n|[ \\t]+|$)`,
  'i',
)
const readHead = new RegExp(`^${comments}\\(*\\s*(?:SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN)\\b`, 'i')
const trailingFormat = /\bFORMAT\s+([A-Za-z0-9_]+)\s*(?:SETTINGS\b[^']*)?;?\s*$/i

/** Whether a statement only reads, so that it may run beside a write. */
export function isRead(sql: string): boolean {
  return readHead.test(sql) && !/\bINTO\s+OUTFILE\b/i.test(sql)
}

/** The FORMAT clause of a SELECT, or null. */
export function formatOf(sql: string): string | null {
  return trailingFormat.exec(sql)?.[1] ?? null
}

/**
 * Joins `?query=` and the body as ClickHouse does: the body continues the query; after an INSERT it is data. Data is
 * split off before it is decoded as text, because it may be binary.
 */
export function statementOf(query: string | null, body: Uint8Array): Statement {
  if (query !== null && query.trim() !== '') {
    if (body.length === 0) return { sql: query, data: null }
    if (insertHead.test(query) && formatOf(query) !== null) return { sql: query, data: body }
    return { sql: `${query}\n${textOf(body)}`, data: null }
  }
  const head = textOf(body.subarray(0, 64 * 1024))
  const match = insertHead.test(head) ? inlineData.exec(head) : null
  if (match === null) return { sql: textOf(body), data: null }
  const length = Buffer.byteLength(match[0])
  return { sql: match[0].trim().replace(/;$/, ''), data: body.subarray(length) }
}

const insertTarget = new RegExp(
  `^${comments}INSERT\\s+INTO\\s+(?:TABLE\\s+)?(?:\`[^\`]+\`|"[^"]+"|[\\w.])+(?:\\.\`[^\`]+\`)?\\s*(?:\\([^)]*\\))?`,
  'i',
)

/**
 * An INSERT … FORMAT … that takes its data from a file; null where the SQL is no such INSERT. The engine is not handed data
 * behind the SQL, because it looks for the end of the statement in them: two line feeds in a row end it, and what follows
 * would be taken for another statement.
 */
export function insertFromFile(sql: string, path: string): string | null {
  const head = insertTarget.exec(sql)?.[0]
  const format = formatOf(sql)
  if (head === undefined || format === null || /^values$/i.test(format)) return null
  return `${head} FROM INFILE ${quoted(path)} COMPRESSION 'none' ${sql.slice(head.length)}`
}

/** A string literal of ClickHouse SQL. */
export function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

/** An identifier in back quotes. */
export function identifier(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
