import { randomBytes } from 'node:crypto'
import type { CrashHook } from '../core/hooks.ts'
import type { RuntimeObserver } from '../core/observer.ts'
import type { LogRecord, NewRecord, TransactionalWriter } from '../log/log.ts'
import { encodePosition, positionHeader, type TaskPosition } from './position.ts'
import { assertPartitions } from './takeover.ts'
import type { TaskLogic, TaskTopics, Topology, WorkingSet } from './topology.ts'

/** What a step works on. */
export interface Slice {
  readonly control: readonly LogRecord[]
  readonly records: readonly LogRecord[]
  /** Next offset of the input behind this slice. */
  readonly nextOffset: number
}

export interface StepEnvironment<Context> {
  readonly topology: Topology<Context>
  readonly logic: TaskLogic<Context>
  readonly topics: TaskTopics
  readonly partition: number
  /** Partitions of the input. */
  readonly partitions: number
  readonly sweepSlice: number
  readonly crash: CrashHook
  readonly observer: RuntimeObserver
}

/** A step that was folded, evaluated and rendered, and is not committed yet. */
export interface PreparedStep<Context> {
  readonly position: TaskPosition
  readonly context: Context
  readonly working: WorkingSet
  readonly outputs: readonly { topic: string; records: readonly NewRecord[] }[]
  readonly counts: {
    records: number
    evaluated: number
    rows: number
    reclassified: number
    dead: number
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
  const dead = await foldRecords(environment, working, slice.records)
  crash('after-fold')
  const foldedAt = performance.now()
  let sweep = control.sweep
  if (sweep !== null) {
    const cursor = working.sweep(sweep === '' ? null : Buffer.from(sweep, 'hex'), environment.sweepSlice)
    sweep = cursor === null ? null : Buffer.from(cursor).toString('hex')
    crash('inside-sweep-slice')
  }
  await working.evaluate()
  const position: TaskPosition = {
    programme: environment.topology.programmeOf(control.context)?.id ?? '',
    transactions: slice.nextOffset,
    control: control.next,
    sweep,
    step: start.step + 1,
    attempt: randomBytes(8).toString('hex'),
    foldVersion: environment.topology.foldVersion,
    dead: dead.offsets,
    part: 1,
    parts: 1,
  }
  const { topics } = environment
  const output = working.output({ step: position.step, fromOffset: start.transactions, toOffset: slice.nextOffset })
  return {
    position,
    context: control.context,
    working,
    outputs: [
      { topic: topics.rows, records: output.rows },
      { topic: topics.reclassifications, records: output.reclassifications },
      { topic: topics.deadLetters, records: dead.letters },
      { topic: topics.blocks, records: blocksOf(partition, position, output.blocks) },
    ],
    counts: {
      records: slice.records.length,
      evaluated: output.evaluated,
      rows: output.rows.length,
      reclassified: output.reclassifications.length,
      dead: dead.offsets.length,
      poison: dead.poison,
      swept: control.sweep !== null,
    },
    foldMs: foldedAt - begunAt,
    evaluateMs: performance.now() - foldedAt,
  }
}

/** Sends everything a prepared step writes. */
export async function produce<Context>(
  writer: TransactionalWriter,
  partition: number,
  step: PreparedStep<Context>,
): Promise<void> {
  // Started together, so that they may share a round trip.
  const sent = step.outputs.filter(({ records }) => records.length > 0)
  await Promise.all(sent.map(({ topic, records }) => writer.append(topic, partition, records)))
}

async function foldControl<Context>(
  environment: StepEnvironment<Context>,
  before: Context,
  start: TaskPosition,
  slice: Slice,
): Promise<{ context: Context; sweep: string | null; next: number }> {
  let context = before
  let { sweep, control: next } = start
  for (const record of slice.control) {
    const folded = await environment.topology.foldControl(context, record)
    context = folded.context
    if (folded.sweep) sweep = ''
    next = record.offset + 1
    assertPartitions(environment.topology.programmeOf(context), environment.partitions)
    environment.crash('inside-context-change')
  }
  return { context, sweep, next }
}

async function foldRecords<Context>(
  environment: StepEnvironment<Context>,
  working: WorkingSet,
  records: readonly LogRecord[],
): Promise<{ offsets: number[]; letters: NewRecord[]; poison: number }> {
  const offsets: number[] = []
  const letters: NewRecord[] = []
  let poison = 0
  for (const record of records) {
    let outcome = working.fold(record)
    if (outcome.kind === 'unprepared') {
      await working.prepare(record)
      outcome = working.fold(record)
    }
    if (outcome.kind !== 'dead') continue
    offsets.push(record.offset)
    if (outcome.foreseen !== true) poison += 1
    letters.push(working.deadLetter(record, outcome.reason, outcome.detail))
    environment.observer.deadLetter(environment.partition, record.offset, outcome.reason, outcome.detail)
  }
  return { offsets, letters, poison }
}

function blocksOf(partition: number, position: TaskPosition, values: readonly Uint8Array[]): NewRecord[] {
  const key = Buffer.from(String(partition))
  return values.map((value, index) => ({
    key,
    value,
    headers: {
      [positionHeader]: encodePosition({
        ...position,
        // A reader of any part learns the position; the dead offsets are listed once.
        dead: index === 0 ? position.dead : [],
        part: index + 1,
        parts: values.length,
      }),
    },
  }))
}
