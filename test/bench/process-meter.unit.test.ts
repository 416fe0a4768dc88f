import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { quantile } from './bench.ts'
import { commandOf, descendantsOf, treeUsageOf, usageOf } from './process-meter.ts'

const linux = existsSync('/proc/self/status')
if (!linux) console.warn('skipped: there is no /proc here')

describe.skipIf(!linux)('the meter of processes', () => {
  it('sees processor time grow with work, and the memory that was touched', () => {
    const before = usageOf(process.pid)
    const block = Buffer.alloc(64 * 1024 * 1024, 1)
    for (const begin = performance.now(); performance.now() - begin < 150; ) Math.sqrt(block.length)
    const after = usageOf(process.pid)
    expect(after.cpuSeconds! - before.cpuSeconds!).toBeGreaterThan(0.05)
    expect(after.peakMiB!).toBeGreaterThanOrEqual(64)
  })

  it('finds children and what they run, and counts them in', async () => {
    const child = spawn('sleep', ['60'])
    try {
      await once(child, 'spawn')
      expect(descendantsOf(process.pid)).toContain(child.pid)
      expect(commandOf(child.pid!)).toBe('sleep 60')
      expect(treeUsageOf(process.pid).cpuSeconds).toBeGreaterThan(0)
    } finally {
      child.kill()
    }
  })

  it('knows nothing of a process that is gone', () => {
    expect(usageOf(2 ** 22 + 1)).toEqual({ cpuSeconds: null, peakMiB: null })
  })
})

describe('quantile', () => {
  it('is the element at that share of the sorted values', () => {
    const values = Array.from({ length: 100 }, (_, i) => i + 1)
    expect([quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1)]).toEqual([51, 100, 100])
  })
})
