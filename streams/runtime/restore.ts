import { hasCode, LoyaltyError } from '../core/error.ts'
import { type CrashHook, insideHook } from '../core/hooks.ts'
import type { RuntimeObserver } from '../core/observer.ts'
import type { Log, LogRecord } from '../log/log.ts'
import { readRange } from '../log/range.ts'
import type { StateStore } from '../state/state-store.ts'
import { decodePosition } from './position.ts'
import { decodeMeta, encodeMeta, type FoldedRecord, recordHash, type StoredMeta } from './stored-meta.ts'
import type { FoldOutcome, TaskLogic, TaskTopics, WorkingSet } from './topology.ts'

export interface RestoreTarget<Context> {
  readonly log: Log
  readonly topics: TaskTopics
  readonly partition: number
  readonly store: StateStore
  readonly logic: TaskLogic<Context>
  readonly context: Context
  readonly programme: string
  readonly foldVersion: number
  /** Committed next offset of the input. */
  readonly transactions: number
  readonly observer: RuntimeObserver
  readonly crash: CrashHook
  /** Ends the restore between two of its slices; what was restored stays. */
  readonly signal: AbortSignal
}

/** A transaction of the store is full with so many clients touched, or records folded or laid. */
const fullAt = { clients: 8_000, records: 50_000 }

/**
 * Brings a task's store to its committed position (runtime.md §4.4): state that cannot be trusted is wiped, ledgers are
 * folded again without model and without new decisions, then the rows of client-state are laid over them. Answers the
 * metadata then stored.
 *
 * Errors: `restore_diverged` where a record that was accepted is refused now, also after a rebuild from the start.
 */
export async function restore<Context>(target: RestoreTarget<Context>): Promise<StoredMeta> {
  let meta = await trusted(target)
  for (let rebuilt = meta === null; ; rebuilt = true) {
    if (meta === null) {
      target.logic.dropCache()
      await target.store.wipe()
      meta = await freshMeta(target)
    }
    try {
      meta = await restoreLedgers(target, meta)
      return await restoreRows(target, meta)
    } catch (error) {
      if (rebuilt || !hasCode(error, 'restore_diverged', 'state_unreadable')) throw error
      target.observer.warning(error.code, error.message, { ...error.details })
      meta = null
    }
  }
}

/** The store's metadata where its state is a prefix of this log's, otherwise null. */
async function trusted<Context>(target: RestoreTarget<Context>): Promise<StoredMeta | null> {
  const bytes = target.store.meta()
  if (bytes === undefined) return null
  const meta = decodeMeta(bytes)
  const reason = meta === null ? 'metadata unreadable' : await mismatch(target, meta)
  if (reason === null) return meta
  target.observer.warning('state_rebuilt', `local state of partition ${target.partition} is rebuilt: ${reason}`, {
    reason,
  })
  return null
}

async function mismatch<Context>(target: RestoreTarget<Context>, meta: StoredMeta): Promise<string | null> {
  if (meta.programme !== target.programme) return 'it belongs to another programme'
  if (meta.foldVersion !== target.foldVersion) return 'the fold changed'
  if (meta.transactions > target.transactions) return 'it is ahead of the log'
  if (meta.last !== null) {
    const { offset, hash } = meta.last
    for await (const batch of readRange(target.log, target.topics.input, target.partition, offset, offset + 1)) {
      const record = batch.records.find((candidate) => candidate.offset === offset)
      if (record !== undefined && recordHash(record) === hash) return null
    }
    return 'the log holds another record at its last offset'
  }
  return null
}

async function freshMeta<Context>(target: RestoreTarget<Context>): Promise<StoredMeta> {
  const { admin } = target.log
  const start = async (topic: string) => (await admin.startOffsets(topic))[target.partition] ?? 0
  return {
    programme: target.programme,
    foldVersion: target.foldVersion,
    transactions: await start(target.topics.input),
    attempt: '',
    rowsFrom: await start(target.topics.rows),
    blocksFrom: await start(target.topics.blocks),
    last: null,
  }
}

async function restoreLedgers<Context>(target: RestoreTarget<Context>, from: StoredMeta): Promise<StoredMeta> {
  let meta = from
  const total = target.transactions - from.transactions
  if (total <= 0) return meta
  const settled = await settledOffsets(target, from)
  const refill = new Refill(target, 'ledgers', total)
  let last: FoldedRecord | null = null
  const { input } = target.topics
  for await (const batch of readRange(target.log, input, target.partition, from.transactions, target.transactions)) {
    const { records } = batch
    for (const record of records) {
      if (settled.has(record.offset)) continue
      let outcome = refill.working.fold(record)
      while (outcome.kind === 'unprepared') {
        await refill.working.prepare(record)
        outcome = refill.working.fold(record)
      }
      if (outcome.kind !== 'accepted' && outcome.kind !== 'duplicate') throw diverged(target, record, outcome)
    }
    const newest = records.at(-1)
    if (newest !== undefined) last = { offset: newest.offset, hash: recordHash(newest) }
    refill.records += records.length
    // Marks behind the committed offset may have been read too: state that counted them in would pass for ahead of the log.
    const next = Math.min(batch.nextOffset, target.transactions)
    if (!refill.full && next !== target.transactions) continue
    meta = { ...meta, transactions: next, attempt: '', last: last ?? meta.last }
    await refill.save(meta, next - from.transactions)
  }
  return meta
}

/** Fills a store again, one transaction after the other. */
class Refill<Context> {
  /** What the next transaction takes. */
  working: WorkingSet
  /** Records folded into it, or laid over it. */
  records = 0
  readonly #target: RestoreTarget<Context>
  readonly #what: 'ledgers' | 'rows'
  readonly #total: number

  constructor(target: RestoreTarget<Context>, what: 'ledgers' | 'rows', total: number) {
    this.#target = target
    this.#what = what
    this.#total = total
    this.working = target.logic.begin(target.context, true)
  }

  get full(): boolean {
    return this.working.size >= fullAt.clients || this.records >= fullAt.records
  }

  /** Commits the transaction with this metadata and begins the next; `done` of the total are stored then. */
  async save(meta: StoredMeta, done: number): Promise<void> {
    const { store, logic, context, observer, partition, crash, signal } = this.#target
    signal.throwIfAborted()
    const inside = insideHook(crash, `inside-restore-${this.#what}`)
    await store.commit(this.working.changes(), encodeMeta(meta), undefined, inside)
    this.working.keep()
    this.working = logic.begin(context, true)
    this.records = 0
    observer.restoring(partition, this.#what, done, this.#total)
  }
}

function diverged<Context>(
  { topics, partition }: RestoreTarget<Context>,
  { offset }: LogRecord,
  outcome: FoldOutcome,
): LoyaltyError {
  return new LoyaltyError(
    'restore_diverged',
    `the record at ${topics.input}[${partition}] ${offset} was accepted once and is refused now`,
    { details: { offset, outcome: outcome.kind === 'dead' ? outcome.reason : outcome.kind } },
  )
}

/** Offsets that committed blocks list as dead or passed on, from the metadata's bound on. */
async function settledOffsets<Context>(target: RestoreTarget<Context>, meta: StoredMeta): Promise<Set<number>> {
  const settled = new Set<number>()
  const end = (await target.log.admin.endOffsets(target.topics.blocks))[target.partition] ?? 0
  for await (const batch of readRange(target.log, target.topics.blocks, target.partition, meta.blocksFrom, end))
    for (const block of batch.records) {
      const { dead, forwarded = [] } = decodePosition(block.headers)
      for (const offset of [...dead, ...forwarded]) settled.add(offset)
    }
  return settled
}

async function restoreRows<Context>(target: RestoreTarget<Context>, from: StoredMeta): Promise<StoredMeta> {
  const { admin } = target.log
  const end = (await admin.endOffsets(target.topics.rows))[target.partition] ?? 0
  const blocksEnd = (await admin.endOffsets(target.topics.blocks))[target.partition] ?? 0
  const meta: StoredMeta = { ...from, attempt: '', rowsFrom: end, blocksFrom: blocksEnd }
  const refill = new Refill(target, 'rows', end - from.rowsFrom)
  for await (const { records, nextOffset } of readRange(
    target.log,
    target.topics.rows,
    target.partition,
    from.rowsFrom,
    end,
  )) {
    for (const record of records) {
      const waiting = refill.working.restoreRow(record)
      if (waiting !== undefined) await waiting
    }
    refill.records += records.length
    if (refill.full) await refill.save({ ...from, rowsFrom: nextOffset }, nextOffset - from.rowsFrom)
  }
  await refill.save(meta, end - from.rowsFrom)
  return meta
}
