import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { publishedEvents, schemaText } from '#schemas/published.ts'
import { eventDocs } from '../../scripts/event-docs.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/events.md'), 'utf8')

test('docs/events.md is what the schemas say (node scripts/generate-event-docs.ts makes it so)', () => {
  expect(page).toBe(eventDocs())
})

test('every field of every event is on the page with its text', () => {
  for (const { name } of publishedEvents) {
    const section = page.slice(page.indexOf(`## ${name}\n`))
    const { fields } = JSON.parse(schemaText(name)) as { fields: { name: string; doc: string }[] }
    for (const field of fields) {
      expect(section, name).toContain(`| \`${field.name}\` |`)
      expect(section, name).toContain(`| ${field.doc.replaceAll('<', '&lt;')} |`)
    }
  }
})
