import { defineConfig } from 'vitest/config'
import { ProgramsFirst } from './test/support/programs-first.ts'

const seconds = 1_000

/**
 * The tier of a test is in its file's name: test/<mirror of the source>/<what>.<tier>.test.ts. Limits are per test and
 * per hook; hooks start engines.
 */
const tiers = [
  { name: 'unit', testTimeout: 15 * seconds, hookTimeout: 15 * seconds },
  { name: 'int', testTimeout: 60 * seconds, hookTimeout: 60 * seconds },
  {
    name: 'kafka',
    testTimeout: 120 * seconds,
    hookTimeout: 120 * seconds,
    globalSetup: 'test/support/kafka/global-setup.ts',
  },
  // Tests that say so run two at a time: one works while the other waits for the end of a session.
  { name: 'crash', testTimeout: 300 * seconds, hookTimeout: 120 * seconds, maxConcurrency: 2 },
  { name: 'browser', testTimeout: 120 * seconds, hookTimeout: 120 * seconds },
]

export default defineConfig({
  test: {
    pool: 'forks',
    sequence: { sequencer: ProgramsFirst },
    projects: tiers.map((tier) => ({
      extends: true as const,
      test: {
        // Tests ask servers, and some leave answers unread.
        setupFiles: tier.name === 'unit' ? [] : ['services/platform/fetch.ts'],
        ...tier,
        include: [`test/**/*.${tier.name}.test.ts`],
      },
    })),
  },
})
