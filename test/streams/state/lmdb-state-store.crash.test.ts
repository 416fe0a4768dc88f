import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLmdbStore } from '#streams/state/lmdb-state-store.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

const script = fileURLToPath(new URL('../../support/state-child.ts', import.meta.url))
let dir: TempDir

beforeEach(async () => {
  dir = await tempDir()
})
afterEach(() => dir.remove())

/** Starts the child; answers once it has said its first line. */
async function child(when: string) {
  const started = spawn(process.execPath, [script, dir.path, when], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(createInterface({ input: started.stdout }), 'line')
  return started
}

async function contents() {
  const store = openLmdbStore(dir.path, {
    onDiscarded: (reason) => {
      throw new Error(`discarded: ${reason}`)
    },
  })
  await store.open()
  const found = store.scan(Buffer.from('key-'), null, 10_000).map(({ value }) => Buffer.from(value).toString())
  const meta = Buffer.from(store.meta()!).toString()
  await store.commit([{ key: Buffer.from('key-0'), value: Buffer.from('goes on') }], Buffer.from('third'))
  await store.close()
  return { meta, count: found.length, begins: new Set(found.map((value) => value.split(' ')[0])) }
}

test('a process killed inside a commit leaves the state before it, whole', async () => {
  const killed = await child('inside')
  if (killed.signalCode === null) await once(killed, 'exit')
  expect(killed.signalCode).toBe('SIGKILL')
  expect(await contents()).toEqual({ meta: 'first', count: 2_000, begins: new Set(['first']) })
})

test('a process killed after a commit leaves the state of it, whole', async () => {
  const killed = await child('after')
  if (killed.signalCode === null) await once(killed, 'exit')
  expect(await contents()).toEqual({ meta: 'second', count: 1_333, begins: new Set(['second']) })
})

test('a store that a living process has open is locked; a killed one gives it back at once', async () => {
  const holder = await child('hold')
  const store = openLmdbStore(dir.path)
  await expect(store.open()).rejects.toMatchObject({ code: 'state_locked', retriable: true })
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  await store.open()
  await store.close()
})
