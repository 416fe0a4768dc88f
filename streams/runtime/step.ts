import { randomBytes } from 'node:crypto'
import type { CrashHook } from '../core/hooks.ts'
import type { RuntimeObserver } from '../core/observer.ts'
import type { LogBatch, LogRecord, NewRecord, TransactionalWriter } from '../log/log.ts'
import { cursorOf, encodePosition, positionHeader, type SweepCause, type TaskPosition } from './position.ts'
import { type FoldedRecord, recordHash } from './stored-meta.ts'
import { assertPartitions } from './takeover.ts'
import type { FoldOutcome, TaskLogic, TaskTopics, Topology, WorkingSet } from './topology.ts'

/** What a step works on. */
export interface Slice {
  readonly control: readonly LogRecord[]
  readonly batches: readonly LogBatch[]
  /** Most clients of a sweep to take, 0 for none. */
  readonly clients: number
}

export interface StepEnvironment<Context> {
  readonly topology: Topology<Context>
  readonly logic: TaskLogic<Context>
  readonly topics: TaskTopics
  readonly partition: number
  /** Partitions of the input. */
  readonly partitions: number
  readonly maxStepClients: number
  readonly crash: CrashHook
  readonly observer: RuntimeObserver
}

/** A step that was folded, evaluated and rendered, and is not committed yet. */
export interface PreparedStep<Context> {
  readonly position: TaskPosition
  readonly context: Context
  readonly working: WorkingSet
  /** The batches of the slice that were folded; those after them are left for the next step. */
  readonly folded: readonly LogBatch[]
  /** The last record folded, null where there was none. */
  readonly last: FoldedRecord | null
  readonly outputs: readonly { topic: string; partition: number; records: readonly NewRecord[] }[]
  readonly counts: {
    records: number
    evaluated: number
    rows: number
    reclassified: number
    dead: number
    forwarded: number
    /** Dead letters that speak of a broken source. */
    poison: number
    swept: boolean
  }
  readonly foldMs: number
  readonly evaluateMs: number
}

/**
 * Folds, evaluates and renders one step (runtime.md §3.1–3.5, without producing). Nothing outside the working set and
 * the returned value is changed. Errors: those of `prepare` and of the classifier; defects of the fold as thrown.
 */
export async function prepareStep<Context>(
  environment: StepEnvironment<Context>,
  start: TaskPosition,
  context: Context,
  slice: Slice,
): Promise<PreparedStep<Context>> {
  const { logic, partition, crash } = environment
  const begunAt = performance.now()
  const control = await foldControl(environment, context, start, slice)
  const working = logic.begin(control.context, false)
  const folded = await foldBatches(environment, working, slice.batches)
  crash('after-fold')
  const foldedAt = performance.now()
  const before = start.evaluatedWith ?? null
  const evaluatedWith = await working.equip(before)
  const changed = evaluatedWith !== before && !control.begun
  const sweep = changed ? begunByEvaluation : takeClients(environment, working, control.sweep, slice.clients)
  await working.evaluate()
  const position: TaskPosition = {
    programme: environment.topology.programmeOf(control.context)?.id ?? '',
    transactions: folded.nextOffset ?? start.transactions,
    control: control.next,
    sweep: sweep.cursor,
    sweepCause: sweep.cursor === null ? null : sweep.cause,
    evaluatedWith,
    step: start.step + 1,
    attempt: randomBytes(8).toString('hex'),
    foldVersion: environment.topology.foldVersion,
    dead: folded.dead,
    forwarded: folded.forwarded,
    part: 1,
    parts: 1,
  }
  const { topics } = environment
  const output = working.output({
    step: position.step,
    fromOffset: start.transactions,
    toOffset: position.transactions,
  })
  return {
    position,
    context: control.context,
    working,
    folded: slice.batches.slice(0, folded.batches),
    last: folded.last,
    outputs: [
      { topic: topics.rows, partition, records: output.rows },
      { topic: topics.reclassifications, partition, records: output.reclassifications },
      { topic: topics.deadLetters, partition, records: folded.letters },
      ...[...folded.passedOn].map(([to, records]) => ({ topic: topics.input, partition: to, records })),
      { topic: topics.blocks, partition, records: blocksOf(partition, position, output.blocks) },
    ],
    counts: {
      records: folded.records,
      evaluated: output.evaluated,
      rows: output.rows.length,
      reclassified: output.reclassifications.length,
      dead: folded.dead.length,
      forwarded: folded.forwarded.length,
      poison: folded.poison,
      swept: sweep.swept,
    },
    foldMs: foldedAt - begunAt,
    evaluateMs: performance.now() - foldedAt,
  }
}

/** Sends everything a prepared step writes. */
export async function produce<Context>(writer: TransactionalWriter, step: PreparedStep<Context>): Promise<void> {
  // Started together, so that they may share a round trip.
  const sent = step.outputs.filter(({ records }) => records.length > 0)
  await Promise.all(sent.map(({ topic, partition, records }) => writer.append(topic, partition, records)))
}

/** A sweep as a position holds it. */
interface Sweep {
  readonly cursor: string | null
  readonly cause: SweepCause
}

/** The sweep after a step, and whether the step took clients of it. */
type SweepTaken = Sweep & { readonly swept: boolean }

/** The next step takes its first clients: then also a takeover knows why they are evaluated. */
const begunByEvaluation: SweepTaken = { cursor: '', cause: 'evaluation', swept: false }

async function foldControl<Context>(
  environment: StepEnvironment<Context>,
  before: Context,
  start: TaskPosition,
  slice: Slice,
): Promise<{ context: Context; sweep: Sweep; begun: boolean; next: number }> {
  let context = before
  let sweep: Sweep = { cursor: start.sweep, cause: start.sweepCause ?? 'context' }
  let begun = false
  let next = start.control
  for (const record of slice.control) {
    const folded = await environment.topology.foldControl(context, record)
    context = folded.context
    begun ||= folded.sweep
    next = record.offset + 1
    assertPartitions(environment.topology.programmeOf(context), environment.partitions)
    environment.crash('inside-context-change')
  }
  if (begun) sweep = { cursor: '', cause: 'context' }
  return { context, sweep, begun, next }
}

function takeClients<Context>(
  { crash }: StepEnvironment<Context>,
  working: WorkingSet,
  { cursor, cause }: Sweep,
  limit: number,
): SweepTaken {
  if (cursor === null || limit === 0) return { cursor, cause, swept: false }
  const last = working.sweep(cursorOf(cursor), limit, cause)
  crash('inside-sweep-slice')
  return { cursor: last === null ? null : Buffer.from(last).toString('hex'), cause, swept: true }
}

/** A step ends with the batch in which it has passed on so many: their offsets must fit the header of its block. */
const mostForwarded = 20_000

/** What folding a slice came to. */
interface Folded {
  batches: number
  records: number
  /** Next offset of the input behind what was folded, null where nothing was. */
  nextOffset: number | null
  /** Offsets of dead letters. */
  readonly dead: number[]
  readonly letters: NewRecord[]
  /** Offsets of records for other partitions, and the records for each of these. */
  readonly forwarded: number[]
  readonly passedOn: Map<number, NewRecord[]>
  poison: number
  last: FoldedRecord | null
}

async function foldBatches<Context>(
  environment: StepEnvironment<Context>,
  working: WorkingSet,
  batches: readonly LogBatch[],
): Promise<Folded> {
  const folded: Folded = {
    ...{ batches: 0, records: 0, nextOffset: null, poison: 0, last: null },
    ...{ dead: [], letters: [], forwarded: [], passedOn: new Map() },
  }
  for (const batch of batches) {
    if (working.size >= environment.maxStepClients || folded.forwarded.length >= mostForwarded) break
    // Decoded here, so that what is folded is garbage before the next batch is decoded.
    const { records } = batch
    for (const record of records) {
      let outcome = working.fold(record)
      while (outcome.kind === 'unprepared') {
        await working.prepare(record)
        outcome = working.fold(record)
      }
      if (outcome.kind === 'dead') tellDead(environment, working, record, outcome, folded)
      else if (outcome.kind === 'forward') passOn(working, record, outcome.partition, folded)
    }
    folded.batches += 1
    folded.records += records.length
    folded.nextOffset = batch.nextOffset
    const last = records.at(-1)
    if (last !== undefined) folded.last = { offset: last.offset, hash: recordHash(last) }
  }
  return folded
}

function tellDead<Context>(
  { observer, partition }: StepEnvironment<Context>,
  working: WorkingSet,
  record: LogRecord,
  { reason, detail, foreseen }: Extract<FoldOutcome, { kind: 'dead' }>,
  folded: Folded,
): void {
  folded.dead.push(record.offset)
  if (foreseen !== true) folded.poison += 1
  folded.letters.push(working.deadLetter(record, reason, detail))
  observer.deadLetter(partition, record.offset, reason, detail)
}

function passOn(working: WorkingSet, record: LogRecord, to: number, { forwarded, passedOn }: Folded): void {
  forwarded.push(record.offset)
  const records = passedOn.get(to)
  if (records === undefined) passedOn.set(to, [working.forward(record)])
  else records.push(working.forward(record))
}

function blocksOf(partition: number, position: TaskPosition, values: readonly Uint8Array[]): NewRecord[] {
  const key = Buffer.from(String(partition))
  return values.map((value, index) => ({
    key,
    value,
    headers: {
      [positionHeader]: encodePosition({
        ...position,
        // A reader of any part learns the position; the offsets are listed once.
        ...(index === 0 ? {} : { dead: [], forwarded: [] }),
        part: index + 1,
        parts: values.length,
      }),
    },
  }))
}
