import { type DeadLetterReason, deadLetterHeaders, deadLetterReasons, replayHeaders } from '#schemas/dead-letter.ts'
import { forwardHeaders } from '#schemas/forward.ts'
import { publishedEvents, schemaText, subjectOf } from '#schemas/published.ts'
import { type Topics, topicSpecs, topicsOf } from '#schemas/topics.ts'

type Schema = string | readonly Schema[] | Shape

interface Shape {
  readonly type: string
  readonly name?: string
  readonly doc?: string
  readonly logicalType?: string
  readonly fields?: readonly Field[]
  readonly items?: Schema
  readonly values?: Schema
  readonly symbols?: readonly string[]
  readonly size?: number
}

interface Field {
  readonly name: string
  readonly type: Schema
  readonly doc?: string
  readonly default?: unknown
}

/** The prefix of the page; a programme may have another one. */
const topics = topicsOf('loyalty')

const keys: Readonly<Record<keyof Topics, string>> = {
  transactions: '`client_id`',
  clients: '`client_id`',
  control: 'none',
  clientState: '`client_id`',
  clientReclassified: '`client_id`',
  accepted: 'number of the task, as text',
  deadLetters: 'key of the original',
  uploads: '`batch_id`',
  schemas: 'JSON: subject and version, or setting',
}

const contents: Readonly<Record<keyof Topics, string>> = {
  transactions: 'what tills and files reported: the source of truth',
  clients: 'master data; a tombstone erases; the only topic with personal data',
  control: 'what every evaluation depends on; only the platform writes it',
  clientState: 'the whole current row of each client',
  clientReclassified: 'changes of segment',
  accepted: 'blocks: position of the task, counts, effects of every transaction that counted',
  deadLetters: 'records that cannot be taken, as raw bytes with reason headers',
  uploads: 'what was found in the rows of uploads, for the report on data quality',
  schemas: 'schemas of the embedded registry',
}

const reasons: Readonly<Record<DeadLetterReason, string>> = {
  undecodable: 'no Confluent frame, bytes that do not fit the schema, or a record of another type',
  unknown_schema:
    'the registry says, twice, that there is no schema with this id; to be replayed once it is registered',
  invalid: 'well-formed, but against the rules of the domain (the detail names the field)',
  wrong_currency: 'not the currency of the programme',
  wrong_partition:
    'the key does not belong to the partition, and the record cannot be forwarded: it was already, or its headers are above 64 KiB',
  conflicting_duplicate: 'the transaction id is known with other content; the first in the log stands',
  beyond_ledger: 'refers to, or is, a transaction older than the ledger keeps in full',
  sums_too_large:
    'with it the sums of the client would be too large to stay exact: all amounts of a client together may come to 2^52 minor units',
  too_large: 'above 256 KiB',
}

const forwardTexts: Readonly<Record<keyof typeof forwardHeaders, string>> = {
  partition: 'the partition that the transaction was written to',
  offset: 'its offset there',
  timestamp: 'its arrival there, epoch milliseconds; the timestamp of the record itself is that of the forwarding',
}

const headerTexts: Readonly<Record<keyof typeof deadLetterHeaders, string>> = {
  reason: 'one of the reasons below',
  detail: 'what exactly is wrong, for a person; at most 1,000 characters',
  topic: 'topic of the original',
  partition: 'its partition',
  offset: 'its offset',
  timestamp: 'its arrival, epoch milliseconds',
  schemaId: "id of the writer's schema, where the frame has one",
  truncated: 'length of the original value in bytes, where it was above 1 MiB and was cut',
}

const replayTexts: Readonly<Record<keyof typeof replayHeaders, string>> = {
  of: 'the dead letter that was replayed, as `partition:offset` of its topic',
  action: 'id of the action that replayed it',
  attempt: '2 after the first replay, and so on',
}

/** The text of docs/events.md: prose about the contracts, and tables made from the schemas themselves. */
export function eventDocs(): string {
  return `${[intro, topicTable(), wire, ...publishedEvents.map(({ name }) => eventSection(name)), forwards(), deadLetters(), evolution].join('\n\n')}\n`
}

const intro = `# Events

The contracts between tills, files, processor, projections and whoever else reads the topics. This page is made from
\`schemas/*.avsc\` by \`node scripts/generate-event-docs.ts\`; a test says so when it is not current.`

const wire = `## On the wire

A value is a zero byte, the id of the writer's schema (four bytes, big-endian) and Avro binary: Confluent's wire format, so
any Confluent serializer writes it. A value must end where its schema ends. Subjects are \`<topic>-value\`, and on the
control topic, which has several types, \`<topic>-<full record name>\`. Keys are UTF-8 text. The partition of a record
keyed by client is that of Kafka's default partitioner (murmur2 of the key).

The record's timestamp is its arrival; business time is in the event. In the tables, *instant* is a long in milliseconds
since 1970-01-01 UTC, *date* an int in days since 1970-01-01 in the programme's time zone, and a name ending in \`_minor\` an
amount in minor units of the programme's currency. Longs outside ±(2^53 - 1) are refused by readers and writers. A field
with a default may be missing in older data.`

const evolution = `## Changing a schema

A published \`.avsc\` is never edited: \`schemas/fingerprints.json\` holds its digest, and a test compares. A change is a new
file \`<event>.v<n+1>.avsc\` beside the old one. The registry takes it only if it is BACKWARD compatible with the version
before, and a test holds the newest version against all others, so that it reads everything ever written: add fields with a
default, add enum symbols (the enum's default is what older readers see), widen numbers, remove fields. Renaming needs an
alias. Changing a decimal's scale or the unit of a time is refused too, although Avro itself would let it pass.`

function topicTable(): string {
  const specs = topicSpecs(topics, 8)
  const lines = (Object.keys(topics) as (keyof Topics)[]).map((topic) => {
    const spec = specs.find((each) => each.topic === topics[topic])!
    const kept = spec.compacted ? 'newest per key' : 'retentionMs' in spec ? '30 days, configurable' : 'for ever'
    const partitions = spec.partitions === 1 ? '1' : 'N'
    const events = publishedEvents.filter((event) => event.topic === topic).map(({ name }) => link(name))
    return row(code(topics[topic]), keys[topic], events.join(', ') || '–', partitions, kept, contents[topic])
  })
  return `## Topics

The prefix (here \`loyalty\`) and N (default 8) are fixed per programme.

${row('topic', 'key', 'events', 'partitions', 'kept', 'holds')}
${row('---', '---', '---', '---', '---', '---')}
${lines.join('\n')}`
}

function eventSection(name: (typeof publishedEvents)[number]['name']): string {
  const schema = JSON.parse(schemaText(name)) as Shape
  const { topic, version, file } = publishedEvents.find((event) => event.name === name)!
  const nested = nestedRecords(schema)
  return `## ${name}

${schema.doc}

Topic ${code(topics[topic])}, subject ${code(subjectOf(name, topics))}, version ${version}
([${file}](../schemas/${file})).

${[fieldTable(schema), ...nested.map((record) => `### ${record.name} (in ${name})\n\n${fieldTable(record)}`)].join('\n\n')}`
}

function fieldTable(record: Shape): string {
  const lines = (record.fields ?? []).map((field) =>
    row(code(field.name), typeText(field.type), defaultText(field), field.doc ?? ''),
  )
  return [row('field', 'type', 'default', 'meaning'), row('---', '---', '---', '---'), ...lines].join('\n')
}

/** Records inside a record, each once, in the order in which they come. */
function nestedRecords(record: Shape): Shape[] {
  const found: Shape[] = []
  const visit = (schema: Schema): void => {
    if (typeof schema === 'string') return
    if (isUnion(schema)) {
      schema.forEach(visit)
      return
    }
    if (schema.fields !== undefined) found.push(schema, ...nestedRecords(schema))
    for (const part of [schema.items, schema.values]) if (part !== undefined) visit(part)
  }
  for (const field of record.fields ?? []) visit(field.type)
  return found
}

function typeText(schema: Schema): string {
  if (typeof schema === 'string') return schema
  if (isUnion(schema)) return schema.map(typeText).toSorted(nullLast).join(' or ')
  if (schema.logicalType === 'timestamp-millis') return 'instant'
  if (schema.logicalType === 'date') return 'date'
  if (schema.items !== undefined) return `array of ${typeText(schema.items)}`
  if (schema.values !== undefined) return `map of ${typeText(schema.values)}`
  if (schema.symbols !== undefined) return schema.symbols.map(code).join(', ')
  if (schema.size !== undefined) return `${schema.size} bytes`
  return schema.name ?? schema.type
}

function isUnion(schema: Schema): schema is readonly Schema[] {
  return Array.isArray(schema)
}

function nullLast(a: string, b: string): number {
  return Number(a === 'null') - Number(b === 'null')
}

function defaultText(field: Field): string {
  return field.default === undefined ? '' : code(JSON.stringify(field.default))
}

function forwards(): string {
  const headers = Object.entries(forwardHeaders).map(([key, name]) =>
    row(code(name), forwardTexts[key as keyof typeof forwardHeaders]),
  )
  return `## Forwarded transactions

A transaction in a partition that its key does not belong to, as a till with another partitioner writes it, is appended to
the right partition in the same transaction as the step that met it, and counts there. Key, value and headers are as they
were, with these headers more, as UTF-8 text. The step's block lists its offset in the position, as ${code('forwarded')}.

${[row('header', 'holds'), row('---', '---'), ...headers].join('\n')}`
}

function deadLetters(): string {
  const headers = Object.entries(deadLetterHeaders).map(([key, name]) =>
    row(code(name), headerTexts[key as keyof typeof deadLetterHeaders]),
  )
  const replays = Object.entries(replayHeaders).map(([key, name]) =>
    row(code(name), replayTexts[key as keyof typeof replayHeaders]),
  )
  const lines = deadLetterReasons.map((reason) => row(code(reason), reasons[reason]))
  return `## Dead letters

A record that cannot be taken goes to ${code(topics.deadLetters)} in the same transaction as the step that met it: value and
key as they were (a value above 1 MiB is cut; the whole stays in its topic), and these headers, as UTF-8 text.

${[row('header', 'holds'), row('---', '---'), ...headers].join('\n')}

${[row('reason', 'means'), row('---', '---'), ...lines].join('\n')}

A record that was [replayed](dead-letters.md) from a dead letter says so by headers of its own, in ${code(topics.transactions)} and, if it is
still wrong, in the dead letter that it becomes.

${[row('header', 'holds'), row('---', '---'), ...replays].join('\n')}`
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')).join(' | ')} |`
}

function code(text: string): string {
  return `\`${text}\``
}

function link(name: string): string {
  return `[${name}](#${name.toLowerCase()})`
}
