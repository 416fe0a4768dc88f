import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { choosePort } from '#services/standalone/ports.ts'
import { eventually } from '../../support/eventually.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import {
  descendantsOf,
  isAlive,
  lastJson,
  type RunningCli,
  readRunFile,
  runLoyalty,
  startPlatform,
  stopPlatform,
} from '../cli/support/run-cli.ts'

const answers = async (url: string) => (await fetch(url)).status

describe('the platform on one machine', () => {
  let data: TempDir
  let running: RunningCli | undefined

  beforeAll(async () => {
    data = await tempDir('loyalty-supervisor-')
  })

  afterEach(async () => {
    if (running === undefined || running.child.exitCode !== null || running.child.signalCode !== null) return
    await stopPlatform(running)
  })

  afterAll(() => data.remove())

  it('serves, is found by its data directory, and refuses a second one on it', async () => {
    running = await startPlatform(data.path)
    const { urls, pid } = readRunFile(data.path)
    expect(pid).toBe(running.child.pid)
    for (const url of Object.values(urls)) expect(await answers(`${url}/readiness`)).toBe(200)
    expect(await answers(`${urls.api}/openapi.json`)).toBe(200)
    expect(running.stderr()).toContain('RUB')

    const second = await runLoyalty(['start', '--json', '--data-dir', data.path])
    expect(second.code).toBe(1)
    expect(lastJson(second)).toMatchObject({ error: { code: 'already_running' } })

    const topics = lastJson<{ topics: unknown[] }>(await runLoyalty(['topics', '--json', '--data-dir', data.path]))
    expect(topics.topics).toHaveLength(9)
    const unknown = await runLoyalty(['client', 'show', 'nobody', '--json', '--data-dir', data.path])
    expect(lastJson(unknown)).toMatchObject({ error: { code: 'client_not_found' } })
  })

  it('serves BI tools on the port that was set, says where, and does not leave it silently', async () => {
    const port = await choosePort(0, false, new Set())
    const settings = { LOYALTY_CLICKHOUSE_PORT: String(port) }
    running = await startPlatform(data.path, settings)
    const url = `http://127.0.0.1:${port}`
    expect(running.stdout()).toContain(`ClickHouse ${url} `)
    expect(readRunFile(data.path).environment).toMatchObject({ LOYALTY_CLICKHOUSE_URL: url, ...settings })
    const views = await fetch(`${url}/?database=loyalty&query=${encodeURIComponent("SHOW TABLES LIKE 'bi_%'")}`)
    expect(await views.text()).toContain('bi_daily_sales')

    const other = await tempDir('loyalty-supervisor-')
    const second = await runLoyalty(['start', '--json', '--data-dir', other.path], settings)
    expect(lastJson(second)).toMatchObject({ error: { code: 'port_in_use', details: { port } } })
    await other.remove()
  })

  it('starts a killed program, a killed PostgreSQL and a killed ClickHouse again', async () => {
    running = await startPlatform(data.path)
    const { urls } = readRunFile(data.path)
    const processOf = (pattern: RegExp, except?: number) =>
      descendantsOf(running!.child.pid!).find(({ pid, command }) => pid !== except && pattern.test(command))
    for (const pattern of [/services\/api\/main\.ts/, /postgres -D/, /chdb\/child\.ts/]) {
      const before = processOf(pattern)
      expect(before, String(pattern)).toBeDefined()
      process.kill(before!.pid, 'SIGKILL')
      const isBack = () => processOf(pattern, before!.pid) !== undefined
      await eventually(isBack, { timeoutMs: 30_000, what: `a new ${pattern}` })
      await eventually(async () => (await statusOf(urls.api!)).service_status === 'OPERATIONAL', {
        timeoutMs: 30_000,
        what: `an operational platform after the end of ${pattern}`,
      })
    }
  })

  it('leaves no process behind when it is killed itself, and starts again on the same directory', async () => {
    running = await startPlatform(data.path)
    const processes = descendantsOf(running.child.pid!)
    expect(processes.length).toBeGreaterThan(6)
    running.child.kill('SIGKILL')
    await running.ended
    await eventually(() => processes.every(({ pid }) => !isAlive(pid)), {
      timeoutMs: 30_000,
      what: 'the end of every part',
    })
    expect(existsSync(join(data.path, 'run.json'))).toBe(true)

    running = await startPlatform(data.path)
    const { urls, pid } = readRunFile(data.path)
    expect(pid).toBe(running.child.pid)
    expect(await statusOf(urls.api!)).toMatchObject({ service_status: 'OPERATIONAL' })
  })

  it('ends in order at SIGTERM', async () => {
    running = await startPlatform(data.path)
    const processes = descendantsOf(running.child.pid!)
    expect((await stopPlatform(running)).code).toBe(0)
    expect(processes.filter(({ pid }) => isAlive(pid))).toEqual([])
    expect(existsSync(join(data.path, 'run.json'))).toBe(false)
  })

  it('refuses to work on its directory with another log, other partitions or other topics', async () => {
    const others: Record<string, string>[] = [
      { LOYALTY_LOG: 'kafka', LOYALTY_KAFKA_BROKERS: '127.0.0.1:9' },
      { LOYALTY_PARTITIONS: '4' },
      { LOYALTY_TOPIC_PREFIX: 'another' },
    ]
    for (const settings of others)
      for (const verb of ['start', 'topics']) {
        const refused = await runLoyalty([verb, '--json', '--data-dir', data.path], settings)
        expect(refused.code).toBe(1)
        const { error } = lastJson<{ error: { code: string; message: string } }>(refused)
        expect(error.code).toBe('data_directory_mismatch')
        const [variable] = Object.keys(settings)
        expect(error.message).toMatch(new RegExp(`set ${variable}=(postgres|8|loyalty), or choose another`))
      }
  })
})

async function statusOf(api: string): Promise<{ service_status: string }> {
  return (await (await fetch(`${api}/api/v1/service/status`)).json()) as { service_status: string }
}
