import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { afterAll, expect, it } from 'vitest'
import { startChdb } from '#services/standalone/chdb/start.ts'
import { startEmbeddedPostgres } from '#services/standalone/embedded-postgres.ts'
import { eventually } from '../../support/eventually.ts'
import { tempDir } from '../../support/temp-dir.ts'

const cleanUp: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const step of cleanUp.reverse()) await step()
})

/** A process that starts an engine by `call`, says its pid, and waits to be killed. */
async function ownerOf(module: string, call: string): Promise<{ owner: ChildProcess; pid: number }> {
  const script = `
    const engines = await import('${module}')
    const running = await engines.${call}
    process.stdout.write(String(running.pid) + '\\n')
    setInterval(() => {}, 1_000)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const pid = await new Promise<number>((resolve, reject) => {
    owner.stdout?.once('data', (text: Buffer) => resolve(Number(text.toString())))
    owner.once('exit', () => reject(new Error('the owner ended before its engine was up')))
  })
  return { owner, pid }
}

/** A process that ended but was not reaped has no command line any more. */
function isAlive(pid: number): boolean {
  if (process.platform === 'linux')
    return existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== ''
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

it('replaces a PostgreSQL server whose owner was killed', async () => {
  const dir = await tempDir()
  cleanUp.push(() => dir.remove())
  const options = { dataDir: dir.path }
  const first = await ownerOf(
    '#services/standalone/embedded-postgres.ts',
    `startEmbeddedPostgres(${JSON.stringify(options)})`,
  )
  first.owner.kill('SIGKILL')
  await eventually(() => !isAlive(first.owner.pid!))
  expect(isAlive(first.pid)).toBe(true)
  const second = await startEmbeddedPostgres(options)
  cleanUp.push(() => second.stop())
  expect(isAlive(first.pid)).toBe(false)
  expect(isAlive(second.pid)).toBe(true)
})

it('ends the ClickHouse engine with its owner, so that the next one can start at once', async () => {
  const dir = await tempDir()
  cleanUp.push(() => dir.remove())
  const options = { dataDir: dir.path }
  const first = await ownerOf('#services/standalone/chdb/start.ts', `startChdb(${JSON.stringify(options)})`)
  first.owner.kill('SIGKILL')
  const second = await startChdb(options)
  cleanUp.push(() => second.stop())
  expect(isAlive(first.pid)).toBe(false)
  expect(await (await fetch(`${second.url}/?query=SELECT+1`)).text()).toBe('1\n')
})
