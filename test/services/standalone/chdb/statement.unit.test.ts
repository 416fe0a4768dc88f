import { describe, expect, it } from 'vitest'
import { formatOf, insertFromFile, isRead, quoted, statementOf } from '#services/standalone/chdb/statement.ts'

const bytes = (text: string) => Buffer.from(text)

describe('statements', () => {
  it.each([
    ['SELECT 1', true],
    ['-- why\n/* and */ with x as (select 1) select * from x', true],
    ['(SELECT 1) UNION ALL (SELECT 2)', true],
    ['SHOW TABLES', true],
    ['INSERT INTO t SELECT 1', false],
    ['CREATE TABLE t AS SELECT 1', false],
    ['ALTER TABLE t DELETE WHERE 1', false],
  ])('%j only reads: %s', (sql, reads) => {
    expect(isRead(sql)).toBe(reads)
  })

  it('name their format at the end', () => {
    expect(formatOf('SELECT 1 FORMAT JSONEachRow')).toBe('JSONEachRow')
    expect(formatOf('SELECT 1 format CSV settings max_threads = 1;\n')).toBe('CSV')
    expect(formatOf("SELECT 'FORMAT CSV'")).toBeNull()
  })

  it('are parted from the data behind an INSERT, which stay bytes', () => {
    const data = Buffer.from([0xff, 0x0a, 0x0a, 0x00])
    expect(statementOf('INSERT INTO t FORMAT RowBinary', data)).toEqual({ sql: 'INSERT INTO t FORMAT RowBinary', data })
    const whole = Buffer.concat([bytes('INSERT INTO t (a, b) FORMAT RowBinary\n'), data])
    const statement = statementOf(null, whole)
    expect(statement.sql).toBe('INSERT INTO t (a, b) FORMAT RowBinary')
    expect(Buffer.from(statement.data!).equals(data)).toBe(true)
  })

  it('without data are the query, the body, or the one continued by the other', () => {
    expect(statementOf('SELECT', bytes('1'))).toEqual({ sql: 'SELECT\n1', data: null })
    expect(statementOf(null, bytes('SELECT 1 FORMAT CSV'))).toEqual({ sql: 'SELECT 1 FORMAT CSV', data: null })
    expect(statementOf('INSERT INTO t VALUES', bytes('(1)'))).toEqual({ sql: 'INSERT INTO t VALUES\n(1)', data: null })
    expect(statementOf(null, bytes('INSERT INTO t SELECT 1 FORMAT Null')).data).toBeNull()
  })

  it.each([
    ['INSERT INTO t FORMAT CSV', "INSERT INTO t FROM INFILE '/f' COMPRESSION 'none'  FORMAT CSV"],
    [
      'insert into `d`.`t t` (a, `b`) FORMAT CSV',
      "insert into `d`.`t t` (a, `b`) FROM INFILE '/f' COMPRESSION 'none'  FORMAT CSV",
    ],
    [
      'INSERT INTO TABLE d.t SETTINGS x=1 FORMAT CSV',
      "INSERT INTO TABLE d.t FROM INFILE '/f' COMPRESSION 'none'  SETTINGS x=1 FORMAT CSV",
    ],
  ])('%j takes its data from a file', (sql, expected) => {
    const words = (text: string | null) => text?.replace(/\s+/g, ' ')
    expect(words(insertFromFile(sql, '/f'))).toBe(words(expected))
  })

  it('that take no data from a file say so', () => {
    expect(insertFromFile('SELECT 1 FORMAT CSV', '/f')).toBeNull()
    expect(insertFromFile('INSERT INTO t VALUES', '/f')).toBeNull()
  })

  it('hold any text as a literal', () => {
    expect(quoted("a'b\\c")).toBe("'a\\'b\\\\c'")
  })
})
