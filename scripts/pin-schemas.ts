/**
 * `node scripts/pin-schemas.ts`: pins schemas that are new in schemas/ by their digest, from when on they may not change.
 * `--amend` also takes over changed ones: only while nobody has written an event with them.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './checks.ts'

const folder = join(root, 'schemas')
const pinnedFile = join(folder, 'fingerprints.json')
const pinned = JSON.parse(readFileSync(pinnedFile, 'utf8')) as Record<string, string>
const amend = process.argv.includes('--amend')

for (const file of readdirSync(folder).filter((name) => name.endsWith('.avsc'))) {
  const digest = createHash('sha256')
    .update(readFileSync(join(folder, file)))
    .digest('hex')
  if (pinned[file] === digest) continue
  if (pinned[file] !== undefined && !amend) {
    console.error(`${file} was published with other content: put the change into a new version, or use --amend`)
    process.exitCode = 1
    continue
  }
  console.log(`${pinned[file] === undefined ? 'pinned' : 'amended'} ${file}`)
  pinned[file] = digest
}
const sorted = Object.fromEntries(Object.entries(pinned).toSorted(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(pinnedFile, `${JSON.stringify(sorted, null, 2)}\n`)
