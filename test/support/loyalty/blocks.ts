import assert from 'node:assert/strict'
import { type DeadLetter, decodeDeadLetterHeaders } from '#schemas/dead-letter.ts'
import { decoderOf } from '#schemas/decoder.ts'
import type { TransactionsAccepted } from '#schemas/events.ts'
import type { LogRecord } from '#streams/log/log.ts'
import { decodePosition, type TaskPosition } from '#streams/runtime/position.ts'
import { add, type BatchTally, type Sums, tallyOf } from './tally.ts'
import { all, eventOf, type World } from './world.ts'

/** What the blocks of a partition say, all together. */
export interface Blocks {
  /** First offset that they cover; null where there is none. */
  readonly from: number | null
  /** Position after each step. */
  readonly positions: readonly TaskPosition[]
  readonly dead: ReadonlySet<number>
  /** Offsets of records that were passed on to other partitions. */
  readonly forwarded: ReadonlySet<number>
  /** Offset of each transaction that counted, in the order of the log. */
  readonly factOffsets: readonly number[]
  /** Effects by client and key of the transaction that they are on (`sumKey`). */
  readonly effects: Sums
  readonly batches: ReadonlyMap<string, BatchTally>
  /** Transactions that came again, by batch, store and business day (`repeatKey`). */
  readonly repeats: ReadonlyMap<string, number>
}

export function repeatKey(batchId: string | null, storeId: string | null, day: number): string {
  return JSON.stringify([batchId || null, storeId || null, day])
}

/** `transactionKey` is that of a fact, in eight bytes. */
export function sumKey(clientId: string, transactionKey: Uint8Array): string {
  return `${clientId} ${Buffer.from(transactionKey).toString('hex')}`
}

/**
 * Invariant 5 of runtime.md: the blocks of a partition follow one another by step and by offset, from its first record
 * on; a block is whole, and what it lists lies between its offsets. Errors: those of `assert`.
 */
export async function readBlocks({ log, topics, registry }: World, partition: number): Promise<Blocks> {
  const decoder = decoderOf(registry, 'TransactionsAccepted')
  const read = new BlocksRead(partition)
  for (const record of await all(log, topics.accepted, partition))
    read.take(decodePosition(record.headers), eventOf(await decoder.read(record.value)))
  read.finish()
  return read
}

/** The blocks reach from the first record of the input to its last. */
export function checkCover({ from, positions }: Blocks, input: readonly LogRecord[]): void {
  const [first, last] = [input[0], input.at(-1)]
  if (first === undefined || last === undefined) return
  assert.ok(from !== null && from <= first.offset, `offset ${first.offset} is in no block: they begin at ${from}`)
  const next = positions.at(-1)?.transactions ?? 0
  assert.ok(next > last.offset, `offset ${last.offset} is in no block: they end at ${next}`)
}

class BlocksRead implements Blocks {
  readonly positions: TaskPosition[] = []
  readonly dead = new Set<number>()
  readonly forwarded = new Set<number>()
  readonly factOffsets: number[] = []
  readonly effects: Sums = new Map()
  readonly batches = new Map<string, BatchTally>()
  readonly repeats = new Map<string, number>()
  readonly #partition: number
  readonly #attempts = new Set<string>()
  from: number | null = null
  #open: { position: TaskPosition; block: TransactionsAccepted } | null = null

  constructor(partition: number) {
    this.#partition = partition
  }

  take(position: TaskPosition, block: TransactionsAccepted): void {
    const open = this.#open
    assert.equal(block.task, this.#partition, 'a block is of the task of its partition')
    assert.equal(block.step, position.step)
    assert.deepEqual([position.part, position.parts], [block.part, block.parts])
    assert.equal(position.transactions, block.to_offset, 'a position is where its block ends')
    if (open === null) this.#begin(position, block)
    else {
      const { part: _p, dead: _d, forwarded: _f, ...rest } = position
      const { part: _q, dead: _e, forwarded: _g, ...first } = open.position
      assert.deepEqual(rest, first, 'parts of a block have one position')
      assert.equal(block.from_offset, open.block.from_offset)
    }
    assert.equal(block.part, (open?.block.part ?? 0) + 1, `partition ${this.#partition}: a block's parts are whole`)
    this.#collect(position, block)
    this.#open = block.part < block.parts ? { position, block } : null
  }

  finish(): void {
    assert.equal(this.#open, null, 'the last block is whole')
  }

  #begin(position: TaskPosition, block: TransactionsAccepted): void {
    const before = this.positions.at(-1)
    assert.equal(position.step, (before?.step ?? 0) + 1, `partition ${this.#partition}: steps follow one another`)
    if (before === undefined) this.from = block.from_offset
    else {
      assert.equal(block.from_offset, before.transactions, 'blocks leave no gap and do not overlap')
      assert.equal(position.programme, before.programme)
      assert.equal(position.foldVersion, before.foldVersion)
      assert.ok(position.control >= before.control, 'control is not read backwards')
    }
    assert.ok(block.to_offset >= block.from_offset, 'a block does not end before it begins')
    assert.ok(!this.#attempts.has(position.attempt), `attempt ${position.attempt} became visible twice`)
    this.#attempts.add(position.attempt)
    this.positions.push(position)
  }

  #collect(
    { dead, forwarded = [] }: TaskPosition,
    { facts, adjustments, batches, repeats, from_offset: from, to_offset: to }: TransactionsAccepted,
  ) {
    const within = (offset: number) => assert.ok(offset >= from && offset < to, `${offset} is not in ${from}–${to}`)
    for (const offset of dead) {
      within(offset)
      assert.ok(!this.dead.has(offset), `offset ${offset} is dead twice`)
      this.dead.add(offset)
    }
    for (const offset of forwarded) {
      within(offset)
      assert.ok(!this.forwarded.has(offset), `offset ${offset} is passed on twice`)
      this.forwarded.add(offset)
    }
    for (const fact of facts) {
      within(fact.offset)
      this.factOffsets.push(fact.offset)
    }
    for (const each of [...facts, ...adjustments]) {
      within(each.offset)
      const { count_effect: count, gross_effect_minor: gross, net_effect_minor: net } = each
      add(this.effects, sumKey(each.client_id, each.transaction_key), { count, gross, net })
    }
    for (const { batch_id, accepted, duplicates, dead } of batches) {
      const tally = tallyOf(this.batches, batch_id)
      tally.accepted += accepted
      tally.duplicates += duplicates
      tally.dead += dead
    }
    for (const { batch_id, store_id, day, repeats: count } of repeats) {
      const key = repeatKey(batch_id, store_id, day)
      this.repeats.set(key, (this.repeats.get(key) ?? 0) + count)
    }
  }
}

export type Letter = DeadLetter & { readonly record: LogRecord }

/** Dead letters of a partition of the input, by offset: every one once. */
export async function readLetters({ log, topics }: World, partition: number): Promise<Map<number, Letter>> {
  const letters = new Map<number, Letter>()
  for (const record of await all(log, topics.deadLetters, partition)) {
    const letter = decodeDeadLetterHeaders(record.headers)
    if (letter.topic !== topics.transactions) continue
    assert.equal(letter.partition, partition)
    assert.ok(!letters.has(letter.offset), `offset ${letter.offset} went to dead letters twice`)
    letters.set(letter.offset, { ...letter, record })
  }
  return letters
}
