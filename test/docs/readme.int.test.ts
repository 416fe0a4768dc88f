import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningCli, readRunFile, startLoyalty } from '../services/cli/support/run-cli.ts'
import { eventually } from '../support/eventually.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const root = join(import.meta.dirname, '../..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')

/** The shell commands of a section, each with the lines that continue it. */
function commandsOf(section: string): string[] {
  const text = readme.split(/^## /m).find((part) => part.startsWith(section)) ?? ''
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block!)
  return blocks
    .flatMap((block) => block.replace(/^#.*\n/gm, '').split(/\n(?=\S)/))
    .map((command) => command.trim())
    .filter((command) => command !== '')
}

describe('the five minutes of the README', () => {
  let data: TempDir
  let demo: RunningCli
  let apiUrl: string
  let clickhouse: string

  beforeAll(async () => {
    data = await tempDir('loyalty-readme-')
    demo = startLoyalty(['demo', '--data-dir', data.path])
    await eventually(() => /Ctrl-C stops it/.test(demo.stdout()), {
      timeoutMs: 150_000,
      everyMs: 200,
      what: demo.stderr(),
    })
    const { urls, environment } = readRunFile(data.path)
    apiUrl = urls.api!
    clickhouse = environment.LOYALTY_CLICKHOUSE_URL!
  }, 180_000)

  afterAll(async () => {
    demo.child.kill('SIGTERM')
    await demo.ended
    await data.remove()
  }, 60_000)

  const commands = commandsOf('Five minutes')

  test('has commands', () => {
    expect(commands.length).toBeGreaterThan(7)
  })

  for (const command of commands)
    test(command.split('\n')[0]!, () => {
      const here = command
        .replaceAll('http://127.0.0.1:8080', apiUrl)
        .replaceAll('http://127.0.0.1:8123', clickhouse)
        .replace('npm run -s loyalty --', `'${process.execPath}' services/cli/main.ts`)
      const { status, stdout, stderr } = spawnSync('bash', ['-c', here], {
        cwd: root,
        env: { ...process.env, LOYALTY_DATA_DIR: data.path },
        encoding: 'utf8',
        maxBuffer: 16 * 1024 * 1024,
        timeout: 60_000,
      })
      expect(status, stderr).toBe(0)
      expect(stdout.trim()).not.toBe('')
      // The body of an error begins so; a report has codes too, of its verdicts.
      expect(stdout).not.toMatch(/^\{"error":|DB::Exception/m)
      if (command.includes(' ingest ')) expect(stdout).toMatch(/"accepted":0,.*"duplicates":22186/)
      if (command.includes('clients export')) expect(stdout.trimEnd().split('\n')).toHaveLength(4_372)
    })
})

test('every page and file the README points at is there', () => {
  const targets = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, target]) => target!)
  expect(targets.length).toBeGreaterThan(3)
  expect(targets.filter((target) => !existsSync(join(root, target)))).toEqual([])
})
