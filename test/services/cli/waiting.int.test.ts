import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type DirectoryLock, lockDirectory } from '#services/standalone/chdb/directory-lock.ts'
import { writeRunFile } from '#services/standalone/run-file.ts'
import { eventually } from '../../support/eventually.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { lastJson, startLoyalty } from './support/run-cli.ts'

const since = '2026-03-01T10:00:00.000Z'
const stopped = { code: 'processor_stopped', message: 'the stream processor has stopped at partition 3', since }
const away = { code: 'processor_unreachable', message: 'no stream processor answers', since }
const running = { status: 'PROCESSING', progress_percentage: 40, phase: 'streaming', report: null, failure: null }
const completed = {
  ...{ status: 'COMPLETED', progress_percentage: 100, phase: 'done', failure: null, waiting: null },
  report: { lines: 1, segments: { champions: 1 }, cut_points: null, seconds: { total: 1 } },
}

/** A platform as far as `ingest` sees it: a run file, and an API that answers `answer` about its one task. */
let dir: TempDir
let lock: DirectoryLock
let server: Server
let answer: object
let asked: number

beforeEach(async () => {
  dir = await tempDir()
  lock = await lockDirectory(dir.path)
  asked = 0
  server = createServer((request, response) => {
    const status = request.url === '/api/v1/management/tasks/task-1/status'
    if (status) asked++
    request.resume().on('end', () => response.end(JSON.stringify(status ? answer : { task_id: 'task-1' })))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await writeRunFile(dir.path, { pid: process.pid, started_at: since, urls: { api }, environment: {} })
  await writeFile(join(dir.path, 'file.csv'), 'a,b\n1,2\n')
})

afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await lock.release()
  await dir.remove()
})

/** Starts `ingest --wait --json` while the task stands as `first`. */
function ingest(first: object) {
  answer = first
  return startLoyalty(['ingest', join(dir.path, 'file.csv'), '--wait', '--json', '--data-dir', dir.path])
}

/** Lets the command ask `times` more. */
async function looked(times: number): Promise<void> {
  const until = asked + times
  await eventually(() => asked >= until, { timeoutMs: 30_000 })
}

test('an upload that waits says why once, in the bar too, until it goes on; the report stays the last line', async () => {
  const cli = ingest({ ...running, waiting: null })
  await looked(2)
  expect(cli.stderr()).not.toContain('waits')
  answer = { ...running, waiting: stopped }
  await looked(4)
  answer = { ...running, waiting: away }
  // Without a terminal the bar is a line every two seconds.
  await eventually(() => /40% streaming, waits since \d\d:\d\d: processor_unreachable\n/.test(cli.stderr()), {
    timeoutMs: 20_000,
  })
  answer = { ...running, waiting: null }
  await looked(2)
  answer = completed
  const run = await cli.ended
  expect(run.code).toBe(0)
  expect(run.stderr.split('\n').filter((line) => line.startsWith('the upload'))).toEqual([
    'the upload waits (processor_stopped): the stream processor has stopped at partition 3',
    'the upload waits (processor_unreachable): no stream processor answers',
    'the upload goes on',
  ])
  expect(run.stdout.trim().split('\n')).toHaveLength(1)
  expect(lastJson(run)).toMatchObject({ lines: 1, segments: { champions: 1, sleeping: 0 } })
})

test('an upload that waits is waited for until Ctrl-C', async () => {
  const cli = ingest({ ...running, waiting: stopped })
  await looked(20)
  expect(cli.child.exitCode).toBeNull()
  cli.child.kill('SIGINT')
  const run = await cli.ended
  expect(run.code).toBe(1)
  expect(lastJson(run)).toMatchObject({ error: { code: 'interrupted' } })
})
