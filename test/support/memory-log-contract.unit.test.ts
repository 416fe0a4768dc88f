import { afterAll, beforeAll, describe } from 'vitest'
import { LogContext } from '../contracts/log/context.ts'
import { readingContract } from '../contracts/log/reading.ts'
import { recordsContract } from '../contracts/log/records.ts'
import { MemoryLog } from './memory-log.ts'

/**
 * The contract of real logs, as far as it needs no second process: what a test on the memory log shows must hold for them.
 * Transactions and membership have tests of their own beside this one.
 */
describe('log contract: memory', () => {
  let context: LogContext | undefined
  const current = (): LogContext => context!

  beforeAll(() => {
    const log = new MemoryLog()
    const child = { module: '', open: '', options: {} }
    context = new LogContext({ open: () => log.connect(), child, close: async () => {} })
  })
  afterAll(() => context?.close())

  recordsContract(current)
  readingContract(current)
})
