/** Counts of one tier or check. */
export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** What is read of vitest's JSON report. */
export interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    /** Why the file failed as a whole. */
    readonly message?: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: readonly string[]
    }[]
  }[]
}

/** Lines that say what failed: file, test, and the beginning of the reason. */
export function failuresOf(report: Report | null): string[] {
  if (report === null) return ['the run left no report']
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed')
    if (failed.length > 0)
      return failed.map((test) => `${name}: ${test.fullName}: ${beginning(test.failureMessages?.join('; '))}`)
    return status === 'failed' ? [`${name}: ${beginning(message)}`] : []
  })
}

/** Lines that say what failed outside of every test. */
export function unhandledOf(errors: readonly string[] | null): string[] {
  return (errors ?? []).map((error) => `outside of a test: ${beginning(error)}`)
}

function beginning(reason = ''): string {
  return reason.replaceAll(/\s+/g, ' ').slice(0, 600)
}

/**
 * Counts a report honestly: a file that failed without a failing test (it did not load, a hook threw) is one failure, so is
 * each error outside of every test (`outside` of them), and a run that ended with an error of its own or left no report.
 */
export function countReport(report: Report | null, exitCode: number, outside = 0): Tally {
  if (report === null) return { passed: 0, failed: 1, skipped: 0 }
  let passed = 0
  let failed = outside
  let skipped = 0
  for (const file of report.testResults) {
    const count = (status: string) => file.assertionResults.filter((test) => test.status === status).length
    passed += count('passed')
    skipped += file.assertionResults.length - count('passed') - count('failed')
    failed += count('failed') === 0 && file.status === 'failed' ? 1 : count('failed')
  }
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed, skipped }
}
