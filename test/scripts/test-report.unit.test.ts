import { describe, expect, it } from 'vitest'
import { countReport } from '../../scripts/test-report.ts'

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((result) => ({ status: result })),
})

describe('the count of a test run', () => {
  it('adds up passed, failed and skipped tests of every file', () => {
    const report = { testResults: [file('passed', 'passed', 'skipped'), file('failed', 'passed', 'failed', 'pending')] }
    expect(countReport(report, 1)).toEqual({ passed: 2, failed: 1, skipped: 2 })
  })

  it('counts a file that did not load, or whose hook threw, as a failure', () => {
    expect(countReport({ testResults: [file('failed')] }, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 })
    expect(countReport({ testResults: [file('failed', 'skipped', 'skipped')] }, 1)).toMatchObject({
      failed: 1,
      skipped: 2,
    })
  })

  it('counts an error outside every test, and a run without a report, as a failure', () => {
    expect(countReport({ testResults: [file('passed', 'passed')] }, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 })
    expect(countReport(null, 137)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })
})
