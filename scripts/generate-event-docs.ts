/** `node scripts/generate-event-docs.ts`: writes docs/events.md from the schemas. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './checks.ts'
import { eventDocs } from './event-docs.ts'

writeFileSync(join(root, 'docs/events.md'), eventDocs())
console.log('wrote docs/events.md')
