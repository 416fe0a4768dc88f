import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { tempDir } from '../support/temp-dir.ts'

const root = join(import.meta.dirname, '../..')

test('what ends npm ends the command that npm runs, cleanly', async () => {
  const dir = await tempDir('loyalty-launch-')
  try {
    const path = join(dir.path, 'traffic.csv')
    const args = [
      'run',
      '-s',
      'loyalty',
      '--',
      'generate',
      '--to',
      path,
      '--events',
      '100000',
      '--rate',
      '20',
      '--json',
    ]
    const npm = spawn('npm', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    npm.stdout.on('data', (text) => {
      printed += text
    })
    // Closed when nobody writes to it any more: neither npm nor what it ran.
    const closed = new Promise<void>((resolve) => npm.stdout.once('close', resolve))
    await eventually(() => existsSync(path), { timeoutMs: 60_000 })
    npm.kill('SIGTERM')
    await closed
    expect(JSON.parse(printed.trim().split('\n').at(-1)!)).toMatchObject({ interrupted: true })
  } finally {
    await dir.remove()
  }
}, 90_000)
