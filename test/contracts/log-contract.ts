import { afterAll, beforeAll, describe } from 'vitest'
import { LogContext, type LogHarness } from './log/context.ts'
import { membershipContract } from './log/membership.ts'
import { readingContract } from './log/reading.ts'
import { recordsContract } from './log/records.ts'
import { transactionsContract } from './log/transactions.ts'

export type { ChildLog, LogHarness } from './log/context.ts'

/**
 * What every adapter of the log port must do. Topics, groups and transactional ids have names of their own, so the suite
 * runs on a log that others use too.
 */
export function logContract(name: string, makeHarness: () => Promise<LogHarness>): void {
  describe(`log contract: ${name}`, () => {
    let context: LogContext | undefined
    const current = (): LogContext => context!

    beforeAll(async () => {
      context = new LogContext(await makeHarness())
    })
    afterAll(() => context?.close())

    recordsContract(current)
    transactionsContract(current)
    readingContract(current)
    membershipContract(current)
  })
}
