import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { type RunningCli, readRunFile, startLoyalty } from '../cli/support/run-cli.ts'

/** Command lines of all processes, but the supervisor's own, that were started with `text` in their environment. */
function processesWith(text: string, except: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== except)
    .filter((pid) => read(`/proc/${pid}/environ`).includes(text) && !read(`/proc/${pid}/stat`).includes(') Z '))
    .map((pid) => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' '))
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

describe.runIf(process.platform === 'linux')('a platform that is stopped while it starts', () => {
  let data: TempDir
  const start = (...verb: string[]) => startLoyalty(verb, { LOYALTY_DATA_DIR: data.path })
  const has = (path: string) => existsSync(join(data.path, path))

  beforeAll(async () => {
    data = await tempDir('loyalty-called-off-')
  })

  afterAll(() => data.remove())

  /** In the order in which a start on a fresh directory passes them; each start goes on with what the ones before left. */
  const moments: readonly { readonly moment: string; readonly reached: (running: RunningCli) => boolean }[] = [
    { moment: 'it has locked its directory', reached: () => has('owner.json') },
    { moment: 'the database is created', reached: () => has('postgres/data.new/PG_VERSION') },
    { moment: 'the statistics engine opens', reached: () => has('clickhouse/owner.json') },
    { moment: 'the database starts', reached: () => has('postgres/data/postmaster.pid') },
    { moment: 'the registry starts', reached: () => has('logs/registry.log') },
    { moment: 'the programs start', reached: () => has('logs/api.log') },
    {
      moment: 'the programs get ready',
      reached: () => /"message":"ready"/.test(read(join(data.path, 'logs/ingest.log'))),
    },
  ]

  for (const { moment, reached } of moments)
    it(`ends within seconds and leaves nothing running: ${moment}`, async () => {
      const running = start('start')
      await eventually(() => reached(running), { timeoutMs: 60_000, everyMs: 1, what: moment })
      expect(running.stdout()).toBe('')
      const askedMs = performance.now()
      running.child.kill('SIGTERM')
      const { code, stdout, stderr } = await running.ended
      expect(performance.now() - askedMs).toBeLessThan(8_000)
      expect({ code, stdout }, stderr).toMatchObject({ code: 0, stdout: '' })
      expect(stderr).not.toMatch(/error:|at .*\.ts:/)
      expect(processesWith(data.path, process.pid)).toEqual([])
      for (const left of ['run.json', 'owner.json', 'postgres/owner.json', 'clickhouse/owner.json'])
        expect(has(left), left).toBe(false)
    })

  it('does not go on with a demo', async () => {
    const running = start('demo', '--exit', '--json')
    await eventually(() => has('postgres/owner.json'), { timeoutMs: 60_000, everyMs: 1 })
    running.child.kill('SIGTERM')
    const { code, stdout } = await running.ended
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'interrupted' } })
    expect(processesWith(data.path, process.pid)).toEqual([])
  })

  it('starts on what was left', async () => {
    const running = start('start')
    try {
      await eventually(() => /serves after/.test(running.stdout()), { timeoutMs: 60_000, what: 'the platform' })
      const status = await fetch(`${readRunFile(data.path).urls.api}/api/v1/service/status`)
      expect(await status.json()).toMatchObject({ service_status: 'OPERATIONAL' })
    } finally {
      running.child.kill('SIGTERM')
      await running.ended
    }
  })
})
