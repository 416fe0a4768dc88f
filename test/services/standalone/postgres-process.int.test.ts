import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { accountFor, launch } from '#services/standalone/postgres-process.ts'
import { tempDir } from '../../support/temp-dir.ts'

test('programs below a directory that only root may pass are found', async () => {
  const dir = await tempDir('loyalty-private-')
  try {
    const program = join(dir.path, 'program')
    await writeFile(program, '#!/bin/sh\n', { mode: 0o755 })
    await chmod(dir.path, 0o700)
    // By access(2), as PostgreSQL looks for its own.
    const child = launch('/usr/bin/test', ['-x', program], await accountFor(join(dir.path, 'data')), 'pipe')
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)
  } finally {
    await dir.remove()
  }
})
