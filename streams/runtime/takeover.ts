import { LoyaltyError } from '../core/error.ts'
import type { Log } from '../log/log.ts'
import { readLast } from '../log/range.ts'
import type { StateStore } from '../state/state-store.ts'
import { GroupOffset } from './group-offset.ts'
import { decodePosition, type TaskPosition } from './position.ts'
import { restore } from './restore.ts'
import type { Running, TaskDependencies } from './task-parts.ts'
import type { TaskState } from './task-state.ts'
import type { Programme } from './topology.ts'

/** The position in the last committed block of a task, null where it has none. */
export async function lastPosition(log: Log, blocks: string, partition: number): Promise<TaskPosition | null> {
  const last = await readLast(log, blocks, partition)
  return last && decodePosition(last.headers)
}

/**
 * Takes a partition over (runtime.md §4): fence, then position, then context, then state. What was opened is closed again
 * where a later part fails.
 *
 * Errors: those of the log (`log_unavailable` retriable), `partitions_mismatch`, `state_locked` (retriable),
 * `restore_diverged`.
 */
export async function takeOver<Context>(
  deps: TaskDependencies<Context>,
  enter: (state: TaskState) => void,
): Promise<Running<Context>> {
  const { log, topics, partition, topology } = deps
  enter('fencing')
  const writer = log.transactionalWriter(deps.transactionalId)
  let store: StateStore | null = null
  try {
    await writer.fence()
    deps.crash('after-fencing')
    enter('positioning')
    const last = await lastPosition(log, topics.blocks, partition)
    const position = last ?? (await beginning(deps))
    const groupKnows = await mendGroupOffset(deps, last)
    enter('context')
    const partitions = (await log.admin.partitions(topics.input)) ?? 0
    const context = await contextAt(deps, position.control)
    assertPartitions(topology.programmeOf(context), partitions)
    enter('restoring')
    store = deps.openStore()
    await store.open()
    const logic = topology.openTask(partition, store)
    const meta = await restore({
      ...deps,
      store,
      logic,
      context,
      programme: position.programme,
      foldVersion: topology.foldVersion,
      transactions: position.transactions,
    })
    const groupOffset = new GroupOffset(deps.group, topics.input, partition, groupKnows ? position.transactions : null)
    return { store, logic, writer, position, context, meta, partitions, groupOffset }
  } catch (error) {
    await writer.close().catch(() => {})
    await store?.close().catch(() => {})
    throw error
  }
}

/** Position of a task without blocks. The programme is the one control begins with: state of another is not trusted. */
async function beginning<Context>(deps: TaskDependencies<Context>): Promise<TaskPosition> {
  const transactions = (await deps.log.admin.startOffsets(deps.topics.input))[deps.partition] ?? 0
  return {
    programme: '',
    transactions,
    control: 0,
    sweep: null,
    sweepCause: null,
    evaluatedWith: null,
    step: 0,
    attempt: '',
    foldVersion: deps.topology.foldVersion,
    dead: [],
    part: 1,
    parts: 1,
  }
}

async function contextAt<Context>(deps: TaskDependencies<Context>, control: number): Promise<Context> {
  const { feed, topology } = deps
  await feed.reached(control, deps.signal)
  let context = topology.initialContext()
  for (const record of feed.between(0, control)) context = (await topology.foldControl(context, record)).context
  return context
}

/** Errors: `partitions_mismatch` where the topic has another number of partitions than its programme. */
export function assertPartitions(programme: Programme | null, partitions: number): void {
  if (programme === null || programme.partitions === partitions) return
  throw new LoyaltyError(
    'partitions_mismatch',
    `the programme has ${programme.partitions} partitions and its topics have ${partitions}; publish to new topics to change the number`,
    { details: { programme: programme.partitions, topics: partitions } },
  )
}

/**
 * The group offset is for lag tooling only and may be a little behind; one that is missing or ahead is worth a word. Answers
 * whether it is right now.
 */
async function mendGroupOffset<Context>(deps: TaskDependencies<Context>, last: TaskPosition | null): Promise<boolean> {
  const { log, group, topics, partition, observer } = deps
  if (last === null) return true
  const stored = (await log.admin.groupOffsets(group, topics.input)).get(partition)
  if (stored === last.transactions) return true
  if (stored === undefined || stored > last.transactions)
    observer.warning(
      'group_offset_differs',
      `group offset of partition ${partition} is ${stored ?? 'missing'}, the block says ${last.transactions}`,
      { partition, stored: stored ?? null, position: last.transactions },
    )
  return log.admin
    .setGroupOffsets({ group, topic: topics.input, offsets: new Map([[partition, last.transactions]]) })
    .then(
      () => true,
      () => false,
    )
}
