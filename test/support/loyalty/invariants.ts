import assert from 'node:assert/strict'
import { ClientStateEncoder } from '#schemas/client-state.ts'
import { decodeDeadLetterHeaders } from '#schemas/dead-letter.ts'
import { decoderOf, type EventDecoder, reducedDecoder } from '#schemas/decoder.ts'
import type { ClientReclassified, ClientStateChanged, TransactionsAccepted } from '#schemas/events.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { ClassifierLoader } from '#streams/classifier/classifier.ts'
import { newEffects } from '#streams/domain/effects.ts'
import { entryOf, newEntry } from '#streams/domain/entry.ts'
import { Ledger } from '#streams/domain/ledger.ts'
import type { Log, LogRecord } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { decodePosition } from '#streams/runtime/position.ts'
import { Client } from '#streams/topologies/client.ts'
import { controlEventOf, emptyContext, foldContext, type LoyaltyContext } from '#streams/topologies/context.ts'
import { Evaluator } from '#streams/topologies/evaluation.ts'
import { takeIn } from '#streams/topologies/intake.ts'
import { RowWriter } from '#streams/topologies/rows.ts'
import type { ControlEvents } from '#streams/topologies/wire.ts'

export interface World {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  readonly classifiers: ClassifierLoader
}

/** What a log says in the end, for comparing runs: rows without version, as-of and model; and counts. */
export interface Outcome {
  readonly rows: Record<string, unknown>
  readonly accepted: number
  readonly duplicates: number
  readonly dead: number
  readonly countSum: number
  readonly grossSum: number
  readonly netSum: number
}

async function all(log: Log, topic: string, partition: number): Promise<LogRecord[]> {
  const end = (await log.admin.endOffsets(topic))[partition]!
  const start = (await log.admin.startOffsets(topic))[partition]!
  const records: LogRecord[] = []
  for await (const batch of readRange(log, topic, partition, start, end)) records.push(...batch.records)
  return records
}

async function decode<S, E>(decoder: EventDecoder<S>, record: LogRecord): Promise<E> {
  const decoded = await decoder.read(record.value)
  assert.equal(decoded.kind, 'ok')
  return (decoded as unknown as { event: E }).event
}

/**
 * Checks invariants 2–6 of runtime.md over the whole log, once every task has caught up and no sweep runs, against ledgers
 * folded here from the transactions alone. Answers what the log says in the end.
 */
export async function checkInvariants(world: World): Promise<Outcome> {
  const { log, topics } = world
  const context = await contextOf(world)
  const total: Outcome & { rows: Record<string, unknown> } = {
    rows: {},
    accepted: 0,
    duplicates: 0,
    dead: 0,
    countSum: 0,
    grossSum: 0,
    netSum: 0,
  }
  const sums = { ...total }
  const partitions = (await log.admin.partitions(topics.transactions))!
  for (let partition = 0; partition < partitions; partition++) {
    const part = await checkPartition(world, context, partition)
    Object.assign(sums.rows, part.rows)
    for (const name of ['accepted', 'duplicates', 'dead', 'countSum', 'grossSum', 'netSum'] as const)
      Object.assign(sums, { [name]: sums[name] + part[name] })
  }
  return sums
}

async function contextOf({ log, topics, registry }: World): Promise<LoyaltyContext> {
  const decoder: EventDecoder<ControlEvents> = decoderOf(
    registry,
    'ProgrammeConfigured',
    'DayStarted',
    'CutPointsPublished',
    'ModelActivated',
  )
  let context = emptyContext
  for (const record of await all(log, topics.control, 0)) {
    const decoded = await decoder.read(record.value)
    assert.ok(decoded.kind === 'ok')
    context = foldContext(context, controlEventOf(decoded)).context
  }
  return context
}

async function checkPartition(world: World, context: LoyaltyContext, partition: number): Promise<Outcome> {
  const { log, topics } = world
  const blocks = await checkBlocks(world, partition)
  const letters = new Map<number, string>()
  for (const record of await all(log, topics.deadLetters, partition)) {
    const letter = decodeDeadLetterHeaders(record.headers)
    assert.ok(!letters.has(letter.offset), `offset ${letter.offset} went to dead letters twice`)
    letters.set(letter.offset, letter.reason)
  }
  assert.deepEqual(
    [...letters.keys()].sort(byNumber),
    [...blocks.dead].sort(byNumber),
    'dead letters are those of the blocks',
  )
  const folded = await foldAll(world, context, partition, blocks.dead)
  assert.deepEqual(blocks.factOffsets, folded.acceptedOffsets, 'facts are the transactions that counted')
  assert.deepEqual(blocks.sums, folded.sums, 'effects in blocks equal those of the ledgers')
  const rows = await checkRows(world, context, partition, folded.clients)
  const sums = [...blocks.sums.values()]
  return {
    rows,
    accepted: folded.acceptedOffsets.length,
    duplicates: folded.duplicates,
    dead: blocks.dead.size,
    countSum: sums.reduce((sum, { count }) => sum + count, 0),
    grossSum: sums.reduce((sum, { gross }) => sum + gross, 0),
    netSum: sums.reduce((sum, { net }) => sum + net, 0),
  }
}

interface Sums {
  count: number
  gross: number
  net: number
}

/** Blocks cover the partition without gap or overlap, their steps have no gap, their parts are whole. */
async function checkBlocks({ log, topics, registry }: World, partition: number) {
  const decoder = decoderOf(registry, 'TransactionsAccepted')
  const dead = new Set<number>()
  const factOffsets: number[] = []
  const sums = new Map<string, Sums>()
  let next: number | null = null
  let step = 0
  let part = 0
  let parts = 0
  for (const record of await all(log, topics.accepted, partition)) {
    const position = decodePosition(record.headers)
    const block: TransactionsAccepted = await decode(decoder, record)
    if (part === parts) {
      step += 1
      assert.equal(position.step, step, `partition ${partition}: steps follow one another`)
      if (next !== null) assert.equal(block.from_offset, next, 'blocks leave no gap')
      next = block.to_offset
      assert.equal(position.transactions, next)
      part = 0
      parts = block.parts
    }
    part += 1
    assert.deepEqual([position.part, position.parts, block.part, block.parts], [part, parts, part, parts])
    for (const offset of position.dead) dead.add(offset)
    for (const fact of block.facts) {
      factOffsets.push(fact.offset)
      add(sums, fact.client_id, fact.count_effect, fact.gross_effect_minor, fact.net_effect_minor)
    }
    for (const { client_id, count_effect, gross_effect_minor, net_effect_minor } of block.adjustments)
      add(sums, client_id, count_effect, gross_effect_minor, net_effect_minor)
  }
  assert.equal(part, parts, 'the last block is whole')
  const records = await all(log, topics.transactions, partition)
  const last = records.at(-1)
  if (last !== undefined) assert.ok((next ?? 0) > last.offset, `partition ${partition} is taken in to its end`)
  return { dead, factOffsets, sums }
}

function add(sums: Map<string, Sums>, clientId: string, count: number, gross: number, net: number): void {
  const sum = sums.get(clientId) ?? { count: 0, gross: 0, net: 0 }
  sum.count += count
  sum.gross += gross
  sum.net += net
  sums.set(clientId, sum)
}

async function foldAll(world: World, context: LoyaltyContext, partition: number, dead: ReadonlySet<number>) {
  const decoder = reducedDecoder(world.registry, 'TransactionRecorded', ['attributes'])
  const programme = context.domain.programme!
  const clients = new Map<string, Client>()
  const acceptedOffsets: number[] = []
  const sums = new Map<string, Sums>()
  let duplicates = 0
  const none = () => {
    throw new Error('these ledgers are never stored')
  }
  const settings = { cap: programme.ledgerCap, chunks: { entryChunk: none, coldChunk: none } }
  const effects = newEffects()
  for (const record of await all(world.log, world.topics.transactions, partition)) {
    if (dead.has(record.offset)) continue
    await decoder.read(record.value)
    const intake = takeIn(record, decoder, programme, partition)
    assert.ok(intake.kind === 'transaction', `offset ${record.offset} was accepted and should not have been`)
    const { clientId } = intake.transaction
    let client = clients.get(clientId)
    if (client === undefined) {
      client = new Client(clientId, Buffer.from(clientId), Ledger.empty(clientId, settings), null, 0, -1)
      clients.set(clientId, client)
    }
    const outcome = client.ledger.apply(entryOf(intake.transaction, newEntry()), effects)
    assert.ok(
      outcome === 'accepted' || outcome === 'duplicate',
      `offset ${record.offset}: ${outcome} is no dead letter`,
    )
    if (outcome === 'duplicate') {
      duplicates += 1
      continue
    }
    acceptedOffsets.push(record.offset)
    add(sums, clientId, effects.count, effects.grossMinor, effects.netMinor)
    for (const { count, grossMinor, netMinor } of effects.others) add(sums, clientId, count, grossMinor, netMinor)
  }
  return { clients, acceptedOffsets, sums, duplicates }
}

/** Rows equal evaluate(ledger, context), versions have no gap, reclassifications follow one another. */
async function checkRows(
  { log, topics, registry, classifiers }: World,
  context: LoyaltyContext,
  partition: number,
  clients: ReadonlyMap<string, Client>,
): Promise<Record<string, unknown>> {
  const states = decoderOf(registry, 'ClientStateChanged')
  const rows = new Map<string, ClientStateChanged>()
  for (const record of await all(log, topics.clientState, partition)) {
    const row: ClientStateChanged = await decode(states, record)
    const before = rows.get(row.client_id)
    assert.equal(row.version, (before?.version ?? 0) + 1, `versions of ${row.client_id}`)
    rows.set(row.client_id, row)
  }
  assert.deepEqual([...rows.keys()].sort(), [...clients.keys()].sort(), 'every client has a row')
  const model = context.models[0]
  const classifier = model === undefined ? null : await classifiers.load(model)
  const list = [...clients.values()]
  const { values, standings } = await new Evaluator(() => {}).run(list, context, classifier)
  const writer = new RowWriter(1)
  const encoder = new ClientStateEncoder(1)
  for (const [i, client] of list.entries()) {
    const row = rows.get(client.id)!
    const tail = { model_id: null, model_version: null, as_of: null, version: 0 }
    const expected = writer.next(client.id, values[i]!, standings[i]!, null, tail)!
    const emitted = Buffer.from(encoder.values(row))
    assert.ok(
      expected.bytes.subarray(0, expected.valuesLength).equals(emitted),
      `row of ${client.id} is evaluate(ledger, context)`,
    )
  }
  await checkChains(log, topics, registry, partition, rows)
  return Object.fromEntries(
    [...rows].map(([id, { version: _v, as_of: _a, model_id: _m, model_version: _w, ...row }]) => [id, row]),
  )
}

async function checkChains(
  log: Log,
  topics: Topics,
  registry: Registry,
  partition: number,
  rows: ReadonlyMap<string, ClientStateChanged>,
): Promise<void> {
  const decoder = decoderOf(registry, 'ClientReclassified')
  const segments = new Map<string, string | null>()
  for (const record of await all(log, topics.clientReclassified, partition)) {
    const change: ClientReclassified = await decode(decoder, record)
    assert.equal(change.before, segments.get(change.client_id) ?? null, `segment of ${change.client_id} before`)
    assert.notEqual(change.before, change.after)
    segments.set(change.client_id, change.after)
  }
  for (const [id, row] of rows) assert.equal(segments.get(id) ?? null, row.segment, `last segment of ${id}`)
}

function byNumber(a: number, b: number): number {
  return a - b
}
