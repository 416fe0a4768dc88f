import { describe, expect, it } from 'vitest'
import { countReport, failuresOf, unhandledOf } from '../../scripts/test-report.ts'

const file = (status: string, ...tests: string[]) => ({
  name: 'test/a.unit.test.ts',
  status,
  assertionResults: tests.map((result) => ({ fullName: `a test that ${result}`, status: result })),
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
    expect(countReport({ testResults: [file('failed', 'failed')] }, 1, 2)).toMatchObject({ failed: 3 })
    expect(countReport(null, 137)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })
})

describe('what failed', () => {
  it('is told by file, test and the beginning of the reason', () => {
    const failed = { fullName: 'a sum is right', status: 'failed', failureMessages: ['expected 1\n   to be 2'] }
    const report = {
      testResults: [file('passed', 'passed'), { ...file('failed', 'passed'), assertionResults: [failed] }],
    }
    expect(failuresOf(report)).toEqual(['test/a.unit.test.ts: a sum is right: expected 1 to be 2'])
    const unloaded = { testResults: [{ ...file('failed'), message: 'no such module' }] }
    expect(failuresOf(unloaded)).toEqual(['test/a.unit.test.ts: no such module'])
    expect(failuresOf({ testResults: [file('passed', 'passed', 'skipped')] })).toEqual([])
    expect(failuresOf(null)).toEqual(['the run left no report'])
  })

  it('names errors outside of every test, too', () => {
    expect(unhandledOf(['Error: nobody waits\n    at a.ts:1:1'])).toEqual([
      'outside of a test: Error: nobody waits at a.ts:1:1',
    ])
    expect(unhandledOf(null)).toEqual([])
  })
})
