import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { tiers } from '../../scripts/tiers.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

describe('whether this machine can run the Kafka tier', () => {
  let bin: TempDir
  const program = (name: string, says: string) => {
    const path = join(bin.path, name)
    writeFileSync(path, `#!/bin/sh\necho '${says}' >&2\n`)
    chmodSync(path, 0o755)
  }
  const missing = (name: string) => tiers.find((tier) => tier.name === name)?.missing()

  beforeEach(async () => {
    bin = await tempDir()
    vi.stubEnv('PATH', bin.path)
    vi.stubEnv('KAFKA_BROKERS', '')
  })

  afterEach(async () => {
    vi.unstubAllEnvs()
    await bin.remove()
  })

  it('does not depend on Docker, which no test uses', () => {
    program('docker', 'Docker version 28.0.0')
    expect(missing('kafka')).toMatch(/KAFKA_BROKERS is not set, and java and mvn not found/)
    program('mvn', 'Apache Maven 3.9.9')
    expect(missing('kafka')).toMatch(/and java not found/)
  })

  it('needs Java 17 or newer, and Maven', () => {
    program('java', 'openjdk version "17.0.15" 2025-04-15')
    expect(missing('kafka')).toMatch(/mvn not found/)
    program('mvn', 'Apache Maven 3.9.9')
    expect(missing('kafka')).toBeNull()
    program('java', 'openjdk version "11.0.28" 2025-07-15')
    expect(missing('kafka')).toMatch(/java is version 11, and a broker needs 17/)
    program('java', 'openjdk version "25" 2025-09-16')
    expect(missing('kafka')).toBeNull()
  })

  it('needs a broker and nothing else where one is named; crash tests kill a broker of their own', () => {
    vi.stubEnv('KAFKA_BROKERS', '127.0.0.1:9092')
    expect(missing('kafka')).toBeNull()
    expect(missing('crash')).toMatch(/java and mvn not found/)
  })
})
