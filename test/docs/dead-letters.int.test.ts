import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRegistry } from '#schemas/registry.ts'
import { topicsOf } from '#schemas/topics.ts'
import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import {
  lastJson,
  type RunningCli,
  readRunFile,
  runLoyalty,
  startPlatform,
  stopPlatform,
} from '../services/cli/support/run-cli.ts'
import { saleOf, Tills } from '../services/ingest/dead-letters/support.ts'
import { eventually } from '../support/eventually.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/dead-letters.md'), 'utf8')
/** Each command with the answer that the page shows below it. */
const examples = [...page.matchAll(/^```sh\n(.*?)^```\n\n^```json\n(.*?)^```/gms)].map(
  ([, command, answer]) => [command!.trim(), answer!] as const,
)

let data: TempDir
let platform: RunningCli | undefined
let apiUrl: string

beforeAll(async () => {
  data = await tempDir('loyalty-docs-dlq-')
  platform = await startPlatform(data.path, { LOYALTY_CURRENCY: 'RUB' })
  const { urls, environment } = readRunFile(data.path)
  apiUrl = urls.api!
  await sendWrong(environment.LOYALTY_POSTGRES_URL!, urls.registry!)
}, 120_000)
afterAll(async () => {
  if (platform !== undefined) await stopPlatform(platform)
  await data?.remove()
}, 60_000)

/** What the page speaks of: a kiosk that writes the wrong currency, a mall that sells in euros, a receipt typed twice. */
async function sendWrong(postgresUrl: string, registryUrl: string): Promise<void> {
  const topics = topicsOf('loyalty')
  const log = openPostgresLog({ url: postgresUrl })
  const tills = await Tills.open(log, openRegistry({ url: registryUrl }), topics, 8)
  const sale = (system: string, number: number, client: string, amountMinor: number, currency = 'EUR') =>
    saleOf({
      transaction_id: `${system}:i=${number}`,
      ...{ client_id: client, amount_minor: amountMinor, currency, source: `pos:${system}`, store_id: '12' },
      occurred_at: Date.UTC(2026, 2, 1, 9, 30),
    })
  await tills.send(
    sale('kiosk', 1, '4711', 125_000),
    sale('kiosk', 2, '4712', 9_900),
    sale('kiosk', 3, '4713', -500),
    sale('mall', 1, '4714', 1_000),
    sale('pos', 7, '4711', 10_000, 'RUB'),
    sale('pos', 7, '4711', 12_000, 'RUB'),
  )
  await eventually(
    async () => (await log.admin.endOffsets(topics.deadLetters)).reduce((sum, end) => sum + end, 0) === 5,
    { timeoutMs: 30_000 },
  )
  await log.close()
}

/** Answers without what is another one each time. */
function plain(text: string): unknown {
  return JSON.parse(
    text
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, (time) => (time.startsWith('2026-03-01') ? time : '<time>'))
      .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>')
      .replace(/"schema_id": ?\d+/g, '"schema_id":0')
      .replace(/"value_base64": ?"[^"]*"/g, '"value_base64":"<bytes>"'),
  )
}

test('every command of the page has its answer there', () => {
  expect(examples.length).toBe([...page.matchAll(/^```sh$/gm)].length)
  expect(examples.length).toBeGreaterThan(6)
})

test.each(examples)('%s', async (command, answer) => {
  const here = command
    .replaceAll('http://127.0.0.1:8080', apiUrl)
    .replace('npm run -s loyalty --', `'${process.execPath}' services/cli/main.ts`)
  const { stdout } = await promisify(execFile)('bash', ['-c', here], {
    cwd: root,
    env: { ...process.env, LOYALTY_DATA_DIR: data.path },
  })
  expect(plain(stdout.trimEnd().split('\n').at(-1)!)).toEqual(plain(answer))
})

test('on a directory at rest letters are read, mended and replayed too', async () => {
  if (platform !== undefined) await stopPlatform(platform)
  const dlq = (...args: string[]) => runLoyalty(['dlq', ...args, '--json', '--data-dir', data.path])
  const listed = lastJson<{ dead_letters: { reason: string; client_id: string }[] }>(await dlq('list'))
  expect(listed.dead_letters).toMatchObject([{ reason: 'invalid', client_id: '4713' }])
  const rule = ['--client', '4713', '--set', 'currency=RUB', '--set', 'amount_minor=500', '--replay']
  const replayed = lastJson(await dlq('fix', ...rule))
  expect(replayed).toMatchObject({ status: 'COMPLETED', counts: { selected: 1, replayed: 1 } })
  const history = lastJson<{ total: number; actions: { kind: string }[] }>(await dlq('actions'))
  expect(history.actions.map(({ kind }) => kind)).toEqual(['replay', 'discard', 'replay', 'replay'])
}, 120_000)
