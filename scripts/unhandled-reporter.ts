import { writeFileSync } from 'node:fs'
import type { Reporter } from 'vitest/reporters'

/** Where the report goes: a setting of its environment, since vitest hands no options to a reporter named by its path. */
export const unhandledReportPath = 'LOYALTY_UNHANDLED_REPORT'

/** Writes what failed outside of every test (a rejection nobody awaited, a worker that ended), one string per error. */
export default class UnhandledReporter implements Reporter {
  onTestRunEnd(...[, errors]: Parameters<NonNullable<Reporter['onTestRunEnd']>>): void {
    const path = process.env[unhandledReportPath]
    if (path !== undefined) writeFileSync(path, JSON.stringify(errors.map(({ stack, message }) => stack ?? message)))
  }
}
