import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compileReader } from '#schemas/avro-reader.ts'
import { eventType, parseSchema } from '#schemas/codec.ts'
import { eventNames, eventNamespace, publishedEvents, subjectOf } from '#schemas/published.ts'
import { topicsOf } from '#schemas/topics.ts'
import pinned from '../../schemas/fingerprints.json' with { type: 'json' }

const folder = join(import.meta.dirname, '../../schemas')
const files = readdirSync(folder).filter((file) => file.endsWith('.avsc'))

test.each(files)('%s is as it was published; a change is a new version in a new file', (file) => {
  const digest = createHash('sha256')
    .update(readFileSync(join(folder, file)))
    .digest('hex')
  expect((pinned as Record<string, string>)[file]).toBe(digest)
})

test('no published schema has gone', () => {
  expect(files.toSorted()).toEqual(Object.keys(pinned).toSorted())
})

test('the newest version of every event is the one in use', () => {
  for (const { name, file, version } of publishedEvents) {
    const stem = file.slice(0, -`.v${version}.avsc`.length)
    const versions = files
      .filter((each) => each.startsWith(`${stem}.v`))
      .map((each) => Number(/\.v(\d+)\./.exec(each)![1]))
    expect(version, name).toBe(Math.max(...versions))
    expect(eventType(name).name).toBe(`${eventNamespace}.${name}`)
  }
})

test.each(files)('what was written with %s is read by the newest version for ever', (file) => {
  const writer = parseSchema(readFileSync(join(folder, file), 'utf8'))
  const reader = eventType(eventNames.find((name) => writer.name === `${eventNamespace}.${name}`)!)
  const read = compileReader(writer, reader, new Set())
  for (let i = 0; i < 20; i++) expect(read(writer.toBuffer(writer.random()), 0)).toBeTypeOf('object')
})

test('every record, field and enum of an event says what it means', () => {
  const undocumented: string[] = []
  for (const file of files) collect(JSON.parse(readFileSync(join(folder, file), 'utf8')), file, undocumented)
  expect(undocumented).toEqual([])
})

function collect(schema: unknown, path: string, out: string[]): void {
  if (Array.isArray(schema)) for (const each of schema) collect(each, path, out)
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return
  const { fields, items, values, type } = schema as Record<string, unknown>
  for (const field of (fields ?? []) as { name: string; doc?: string; type: unknown }[]) {
    if (!field.doc) out.push(`${path}/${field.name}`)
    collect(field.type, `${path}/${field.name}`, out)
  }
  for (const nested of [items, values, type]) if (typeof nested === 'object') collect(nested, path, out)
}

test('subjects name the topic, and on the control topic the record', () => {
  const topics = topicsOf('acme')
  expect(subjectOf('TransactionRecorded', topics)).toBe('acme.transactions-value')
  expect(subjectOf('DayStarted', topics)).toBe('acme.control-loyalty.events.DayStarted')
  expect(new Set(eventNames.map((name) => subjectOf(name, topics))).size).toBe(eventNames.length)
})
