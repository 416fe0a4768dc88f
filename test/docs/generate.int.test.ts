import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  cleanEnvironment,
  freePorts,
  type RunningCli,
  readRunFile,
  startPlatform,
  stopPlatform,
} from '../services/cli/support/run-cli.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/generate.md'), 'utf8')
const commands = [...page.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block]) => block!.trim().split('\n'))

/** What each command must have said, in the order of the page. */
const answers = [
  /^5,000 transactions in .* repetitions$/m,
  /"events":5000,.*"accepted":5000,"rejected":0,/,
  /^2,000 accepted, 0 rejected/m,
  /^3,000 transactions in /m,
  / transactions {2}[\d,]+ .* 0 dead letters/,
  /^3,000 transactions in /m,
  /"accepted":3000,"rejected":0/,
  /^5 days to 2010-12-05 with \d+ receipts/m,
]

let data: TempDir
let platform: RunningCli | undefined
let apiUrl: string

beforeAll(async () => {
  data = await tempDir('loyalty-docs-generate-')
  platform = await startPlatform(data.path)
  apiUrl = readRunFile(data.path).urls.api!
}, 120_000)

afterAll(async () => {
  if (platform !== undefined) await stopPlatform(platform)
  await data?.remove()
}, 60_000)

test('every command of the page has what it must say', () => {
  expect(commands).toHaveLength(answers.length)
})

test.each(commands.map((command, at) => [command, answers[at] ?? /^$/] as const))(
  '%s',
  (command, answer) => {
    const here = command
      .replaceAll('http://127.0.0.1:8080', apiUrl)
      .replace('npm run -s loyalty --', `'${process.execPath}' '${join(root, 'services/cli/main.ts')}'`)
    const { status, stdout, stderr } = spawnSync('bash', ['-c', here], {
      cwd: data.path,
      env: cleanEnvironment({ ...freePorts, LOYALTY_DATA_DIR: data.path }),
      encoding: 'utf8',
      timeout: 110_000,
    })
    expect(status, stderr).toBe(0)
    expect(stdout).toMatch(answer)
  },
  120_000,
)
