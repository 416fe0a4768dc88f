import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Random } from '#services/cli/generator/random.ts'
import { openLmdbStore } from '#streams/state/lmdb-state-store.ts'
import { loopKeys } from '../../support/state-loop.ts'
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

/**
 * Lets a child commit as production does, by LMDB's own thread, and kills it `share` of a commit's usual time after one
 * has begun. Answers the last commit that it said it had begun and had done.
 */
async function killedAt(commits: number, share: number) {
  const started = spawn(process.execPath, [script, dir.path, 'loop'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const told = { begun: 0, done: 0 }
  let beganAt = 0
  let tookMs = 0
  let seen = 0
  let dying: Promise<void> | undefined
  for await (const line of createInterface({ input: started.stdout })) {
    const [what, number] = line.split(' ')
    told[what as keyof typeof told] = Number(number)
    if (what === 'done') {
      tookMs = performance.now() - beganAt
      seen++
      continue
    }
    beganAt = performance.now()
    // The moment itself is what is tested, so it is a time and no condition.
    if (seen >= commits) dying ??= delay(share * tookMs).then(() => void started.kill('SIGKILL'))
  }
  await dying
  if (started.exitCode === null && started.signalCode === null) await once(started, 'exit')
  expect(started.signalCode).toBe('SIGKILL')
  return told
}

test('a process killed at any moment leaves one whole commit, and none that had returned is lost', async () => {
  const kills = 15
  const random = new Random(20_111_209)
  let inside = 0
  for (let kill = 0; kill < kills; kill++) {
    // Right after the beginning, then at later and later points, up to past the end of a usual commit.
    const share = kill < 2 ? 0 : (kill - 1 + random.fraction()) / (kills - 3)
    const told = await killedAt(2 + random.below(4), share)
    if (told.begun > told.done) inside++
    const { meta, values } = await loopContents()
    expect(meta, `kill ${kill}`).toBeGreaterThanOrEqual(told.done)
    expect(meta, `kill ${kill}`).toBeLessThanOrEqual(told.begun)
    const expected = loopKeys(meta).flatMap(({ key, kept }) => (kept ? [`${meta} ${key}`] : []))
    expect(values.sort(), `kill ${kill}, commit ${meta}`).toEqual(expected.sort())
  }
  expect(inside).toBeGreaterThan(kills / 3)
})

async function loopContents() {
  const store = openLmdbStore(dir.path, {
    onDiscarded: (reason) => {
      throw new Error(`discarded: ${reason}`)
    },
  })
  await store.open()
  const values = store.scan(Buffer.alloc(0), null, 10_000).map(({ value }) => Buffer.from(value).toString().trimEnd())
  const meta = Number(store.meta() ?? 0)
  await store.close()
  return { meta, values }
}
