import assert from 'node:assert/strict'
import { decoderOf, type EventDecoder } from '#schemas/decoder.ts'
import type { StateStore } from '#streams/state/state-store.ts'
import { controlEventOf, emptyContext, foldContext, type LoyaltyContext } from '#streams/topologies/context.ts'
import type { ControlEvents } from '#streams/topologies/wire.ts'
import { type Blocks, checkCover, readBlocks, readLetters } from './blocks.ts'
import { checkForwards } from './forwards.ts'
import { digestOf, type Folded, foldLedgers, referenceSums, sumOf } from './ledgers.ts'
import { checkRows, readChanges, readRows, valuesOf } from './rows.ts'
import { checkStored, type Logged } from './stored.ts'
import { add, type Sums, settled, total } from './tally.ts'
import { all, type World } from './world.ts'

/** What a log says in the end, for comparing runs: rows without version, as-of and model; ledgers as digests; and counts. */
export interface Outcome {
  readonly rows: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly ledgers: Readonly<Record<string, string>>
  readonly accepted: number
  readonly duplicates: number
  readonly dead: number
  readonly forwarded: number
  readonly countSum: number
  readonly grossSum: number
  readonly netSum: number
}

/** Local state of the tasks by partition, open. */
export type Stores = ReadonlyMap<number, StateStore>

/**
 * Checks invariants 2–6 of runtime.md over the whole log, once every task has caught up and no sweep runs, against ledgers
 * folded here from the transactions alone; and invariant 1 where the tasks' stores are given. Answers what the log says in
 * the end. Errors: those of `assert`.
 */
export async function checkInvariants(world: World, stores: Stores = new Map()): Promise<Outcome> {
  const context = await contextOf(world)
  const outcomes: Outcome[] = []
  const partitions = (await world.log.admin.partitions(world.topics.transactions))!
  for (let partition = 0; partition < partitions; partition++)
    outcomes.push(await checkPartition(world, context, partition, stores.get(partition)))
  await checkForwards(world)
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((sum, outcome) => sum + of(outcome), 0)
  return {
    rows: Object.assign({}, ...outcomes.map(({ rows }) => rows)),
    ledgers: Object.assign({}, ...outcomes.map(({ ledgers }) => ledgers)),
    accepted: sum(({ accepted }) => accepted),
    duplicates: sum(({ duplicates }) => duplicates),
    dead: sum(({ dead }) => dead),
    forwarded: sum(({ forwarded }) => forwarded),
    countSum: sum(({ countSum }) => countSum),
    grossSum: sum(({ grossSum }) => grossSum),
    netSum: sum(({ netSum }) => netSum),
  }
}

/**
 * Invariant 1 alone, at whatever point the processor is or was killed: what the stores hold is never ahead of the blocks.
 * `caughtUp`: they also hold everything, rows included, as after a clean end.
 */
export async function checkStores(world: World, stores: Stores, options: { caughtUp: boolean }): Promise<void> {
  const context = await contextOf(world)
  for (const [partition, store] of stores) {
    const logged = await loggedOf(world, context, partition)
    const rows = options.caughtUp ? await readRows(world, partition) : null
    await checkStored(store, logged, rows)
  }
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

async function loggedOf(world: World, context: LoyaltyContext, partition: number): Promise<Logged> {
  const blocks = await readBlocks(world, partition)
  const letters = await readLetters(world, partition)
  const records = await all(world.log, world.topics.transactions, partition)
  const fold = (end: number) => {
    const below = records.filter(({ offset }) => offset < end)
    return foldLedgers(world, context, partition, below, letters)
  }
  return { blocks, letters, records, cap: context.domain.programme?.ledgerCap ?? 0, fold }
}

async function checkPartition(
  world: World,
  context: LoyaltyContext,
  partition: number,
  store: StateStore | undefined,
): Promise<Outcome> {
  const logged = await loggedOf(world, context, partition)
  const { blocks, letters, records } = logged
  checkCover(blocks, records)
  assert.deepEqual(
    [...letters.keys()].sort(byNumber),
    [...blocks.dead].sort(byNumber),
    'dead letters are those of the blocks',
  )
  const folded = await logged.fold(Number.POSITIVE_INFINITY)
  assert.deepEqual(
    folded.forwarded.map(({ offset }) => offset),
    [...blocks.forwarded].sort(byNumber),
    'what was passed on is what belongs to other partitions',
  )
  checkSums(blocks, folded)
  const rows = await readRows(world, partition)
  await checkRows(world, context, folded.clients, rows)
  await readChanges(world, partition, rows)
  if (store !== undefined) await checkStored(store, logged, null)
  const { count, gross, net } = total(blocks.effects)
  return {
    rows: Object.fromEntries([...rows].map(([id, row]) => [id, valuesOf(row)])),
    ledgers: Object.fromEntries([...folded.clients].map(([id, { ledger }]) => [id, digestOf(ledger)])),
    accepted: folded.acceptedOffsets.length,
    duplicates: folded.duplicates,
    dead: blocks.dead.size,
    forwarded: blocks.forwarded.size,
    countSum: count,
    grossSum: gross,
    netSum: net,
  }
}

/** Invariants 3 and 6: what counted is in one block, with the effects that ledgers and plain reckoning give as well. */
function checkSums(blocks: Blocks, folded: Folded): void {
  assert.deepEqual(blocks.factOffsets, folded.acceptedOffsets, 'facts are the transactions that counted')
  assert.deepEqual(sorted(blocks.batches), sorted(folded.batches), 'counts per upload batch')
  assert.deepEqual(sorted(blocks.repeats), sorted(folded.repeats), 'transactions that came again')
  const inBlocks = settled(blocks.effects)
  assert.deepEqual(inBlocks, settled(folded.effects), 'effects in blocks are those of the ledgers')
  assert.deepEqual(
    inBlocks,
    settled(referenceSums(folded.references)),
    'effects in blocks are what transactions count for',
  )
  const ofBlocks: Sums = new Map()
  for (const [key, sum] of inBlocks) add(ofBlocks, key.slice(0, key.lastIndexOf(' ')), sum)
  const ofLedgers: Sums = new Map()
  for (const [id, { ledger }] of folded.clients) add(ofLedgers, id, sumOf(ledger))
  assert.deepEqual(settled(ofBlocks), settled(ofLedgers), 'effects in blocks are the sums of the ledgers')
}

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1))
}

function byNumber(a: number, b: number): number {
  return a - b
}
