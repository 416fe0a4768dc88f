import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Config } from '../platform/config.ts'

/** Settings that are fixed for a data directory, by the variable that sets each. */
const fixed = {
  LOYALTY_LOG: 'log',
  LOYALTY_PARTITIONS: 'partitions',
  LOYALTY_TOPIC_PREFIX: 'topicPrefix',
} as const satisfies Record<string, keyof Config>

type Fixed = Pick<Config, (typeof fixed)[keyof typeof fixed]>

/** Where a data directory says which log and which topics its data belongs to. */
export function directoryFactsPath(dataDir: string): string {
  return join(dataDir, 'log.json')
}

/**
 * Refuses settings that are not those the data directory was made with: offsets, task state and projections in it belong
 * to one log and its topics, and with another one they would be taken for positions in that. A directory that says
 * nothing takes any.
 *
 * Errors: `data_directory_mismatch` (details: directory, madeWith and given by variable).
 */
export function checkDirectoryFacts(dataDir: string, config: Fixed): void {
  const path = directoryFactsPath(dataDir)
  if (!existsSync(path)) return
  const known = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string | number>
  const given = factsOf(config)
  const changed = Object.keys(given).filter((name) => known[name] !== undefined && known[name] !== given[name])
  if (changed.length === 0) return
  const list = (facts: Record<string, string | number>) => changed.map((name) => `${name}=${facts[name]}`).join(' ')
  throw new LoyaltyError(
    'data_directory_mismatch',
    `the data in ${dataDir} was made with ${list(known)}, and this is ${list(given)}; set ${list(known)}, or choose another data directory`,
    { details: { directory: dataDir, madeWith: known, given } },
  )
}

/** Notes the settings in a data directory that does not have them yet; called once its topics are there. */
export function rememberDirectoryFacts(dataDir: string, config: Fixed): void {
  const path = directoryFactsPath(dataDir)
  if (existsSync(path)) return
  writeFileSync(`${path}.new`, `${JSON.stringify(factsOf(config), null, 2)}\n`)
  renameSync(`${path}.new`, path)
}

function factsOf(config: Fixed): Record<string, string | number> {
  return Object.fromEntries(Object.entries(fixed).map(([variable, name]) => [variable, config[name]]))
}
