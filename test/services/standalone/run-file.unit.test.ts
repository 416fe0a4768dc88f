import { writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockDirectory } from '#services/standalone/chdb/directory-lock.ts'
import { choosePort } from '#services/standalone/ports.ts'
import { findPlatform, removeRunFile, runFilePath, writeRunFile } from '#services/standalone/run-file.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

describe('the run file', () => {
  let dir: TempDir
  const facts = { pid: process.pid, started_at: 'now', urls: { api: 'http://127.0.0.1:1' }, environment: { A: 'b' } }

  beforeEach(async () => {
    dir = await tempDir()
  })

  afterEach(() => dir.remove())

  it('finds the platform that holds the directory', async () => {
    const lock = await lockDirectory(dir.path)
    await writeRunFile(dir.path, facts)
    expect(await findPlatform(dir.path)).toEqual(facts)
    await lock.release()
  })

  it('can be read by its owner only, since it holds a password', async () => {
    await writeRunFile(dir.path, facts)
    expect((await stat(runFilePath(dir.path))).mode & 0o077).toBe(0)
  })

  it('of a supervisor that is gone counts as none', async () => {
    await writeRunFile(dir.path, facts)
    expect(await findPlatform(dir.path)).toBeNull()
    // What a killed supervisor leaves: its lock with the id of a process that no longer is the same.
    writeFileSync(`${dir.path}/owner.json`, JSON.stringify({ pid: process.pid, started: '1' }))
    expect(await findPlatform(dir.path)).toBeNull()
  })

  it('is gone after the platform', async () => {
    const lock = await lockDirectory(dir.path)
    await writeRunFile(dir.path, facts)
    removeRunFile(dir.path)
    expect(await findPlatform(dir.path)).toBeNull()
    await lock.release()
  })
})

describe('the choice of a port', () => {
  it('lets a default give way, and not what was asked for', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      const chosen = await choosePort(port, false, new Set())
      expect(chosen).not.toBe(port)
      await expect(choosePort(port, true, new Set())).rejects.toMatchObject({ code: 'port_in_use' })
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  })

  it('gives no port twice', async () => {
    const taken = new Set<number>()
    const first = await choosePort(0, false, taken)
    expect(await choosePort(first, false, taken)).not.toBe(first)
    expect(taken.size).toBe(2)
  })
})
