import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rejectionCodes } from '#services/ingest/tills/rejection.ts'
import { type ApiOverIngest, startApiOverIngest } from '../services/api/support/api-over-ingest.ts'

const [page, clientsPage] = ['pos-integration', 'clients'].map((name) =>
  readFileSync(join(import.meta.dirname, `../../docs/${name}.md`), 'utf8'),
) as [string, string]
const pages = page + clientsPage
/** Each command with the answer that the page shows below it. */
const examples = [...pages.matchAll(/^```sh\n(.*?)^```\n\n^```json\n(.*?)^```/gms)].map(
  ([, command, answer]) => [command!.trim(), JSON.parse(answer!)] as const,
)

let api: ApiOverIngest
beforeAll(async () => {
  api = await startApiOverIngest({ currency: 'RUB', timeZone: 'Europe/Moscow' })
})
afterAll(() => api?.close())

test('every command of the pages has its answer there', () => {
  expect(examples.length).toBe([...pages.matchAll(/^```sh$/gm)].length)
  expect(examples.length).toBeGreaterThan(4)
})

test.each(examples)('%s', async (command, answer) => {
  const here = command.replaceAll('http://127.0.0.1:8080', api.url)
  const { stdout } = await promisify(execFile)('bash', ['-c', here])
  expect(JSON.parse(stdout)).toEqual(answer)
})

test('the page names every code of a verdict', () => {
  for (const code of rejectionCodes) expect(page).toContain(`\`${code}\``)
})
