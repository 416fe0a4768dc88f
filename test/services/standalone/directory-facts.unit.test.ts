import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkDirectoryFacts, rememberDirectoryFacts } from '#services/standalone/directory-facts.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

describe('the log that a data directory was made with', () => {
  const made = { log: 'kafka', partitions: 4, topicPrefix: 'shops' } as const
  let dir: TempDir

  beforeEach(async () => {
    dir = await tempDir()
  })

  afterEach(() => dir.remove())

  it('may be any for a fresh directory', () => {
    expect(() => checkDirectoryFacts(dir.path, made)).not.toThrow()
  })

  it('is the only one that it is used with again', () => {
    rememberDirectoryFacts(dir.path, made)
    expect(() => checkDirectoryFacts(dir.path, made)).not.toThrow()
    for (const other of [{ log: 'postgres' }, { partitions: 8 }, { topicPrefix: 'loyalty' }] as const)
      expect(() => checkDirectoryFacts(dir.path, { ...made, ...other })).toThrow(
        expect.objectContaining({ code: 'data_directory_mismatch' }),
      )
  })

  it('stays the first that was noted', () => {
    rememberDirectoryFacts(dir.path, made)
    rememberDirectoryFacts(dir.path, { ...made, partitions: 8 })
    expect(() => checkDirectoryFacts(dir.path, made)).not.toThrow()
  })

  it('is named by the variables that differ, with what to set', () => {
    rememberDirectoryFacts(dir.path, made)
    expect(() => checkDirectoryFacts(dir.path, { ...made, log: 'postgres', partitions: 8 })).toThrow(
      `the data in ${dir.path} was made with LOYALTY_LOG=kafka LOYALTY_PARTITIONS=4, and this is LOYALTY_LOG=postgres ` +
        'LOYALTY_PARTITIONS=8; set LOYALTY_LOG=kafka LOYALTY_PARTITIONS=4, or choose another data directory',
    )
  })
})
