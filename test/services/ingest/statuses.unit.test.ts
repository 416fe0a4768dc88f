import { expect, test } from 'vitest'
import { ingestStatuses } from '#services/ingest/app.ts'
import { codesIn, sourceFiles } from '../../architecture/source-files.ts'

/** What a file goes through before an upload or a preview is answered. */
const reading = /^services\/ingest\/((files|parse|proposal)\/|(intake|multipart|preview|profile[^/]*|reading)\.ts$)/

/** Answered 400 by every program, and 503, because it passes. */
const elsewhere = ['request_invalid', 'store_unavailable']

test('a file that cannot be read is the fault of a request: every code of it has a status below 500', () => {
  const codes = new Set(
    sourceFiles()
      .filter(({ path }) => reading.test(path))
      .flatMap(({ text }) => codesIn(text)),
  )
  expect([...codes]).toEqual(expect.arrayContaining(['file_empty', 'workbook_unreadable', 'profile_needed']))
  const wrong = [...codes].filter((code) => !elsewhere.includes(code) && !((ingestStatuses[code] ?? 500) < 500))
  expect(wrong).toEqual([])
})
