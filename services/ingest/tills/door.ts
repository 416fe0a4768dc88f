import { LoyaltyError } from '#streams/core/error.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { Control } from '../control.ts'
import type { GroupCommit, PartitionedRecord } from './group-commit.ts'
import type { Principal } from './principal.ts'
import { RefusedItem, type Rejection } from './rejection.ts'

/** A record for the log, and what the sender is told of it. */
export interface TakenItem {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly id: string
}

/** What an item becomes, or why it becomes nothing. */
export type RecordOf = (
  item: unknown,
  principal: Principal,
  programme: { readonly currency: string },
) => TakenItem | Rejection

export interface DoorDeps {
  readonly control: Pick<Control, 'read'>
  readonly recordOf: RecordOf
  readonly commits: GroupCommit
  /** Changes when records may come out otherwise than before, and is up to date once one is durable; default: never does. */
  readonly version?: (() => string) | undefined
  /** How long a request waits for the log; default 30 s. */
  readonly commitMs?: number | undefined
}

interface Programme {
  readonly currency: string
  readonly partitions: number
}

export type ItemVerdict =
  | { readonly status: 'accepted'; readonly id: string }
  | ({ readonly status: 'rejected' } & Rejection)

/** Verdicts on some items. */
export interface Admitted {
  readonly verdicts: readonly ItemVerdict[]
  readonly accepted: number
}

/** Items on their way to the log. */
export interface Admission {
  /** Resolves once the log has every accepted item durably; rejects in time where it does not answer. */
  readonly durable: Promise<Admitted>
  /** Resolves when nothing of this is under way any more, whatever became of it. */
  readonly settled: Promise<unknown>
}

/** Takes items to the log: a verdict on each, a record for each that is accepted. */
export class Door {
  readonly #deps: DoorDeps
  #programme: Programme | null = null

  constructor(deps: DoorDeps) {
    this.#deps = deps
  }

  /** Errors: `programme_missing`; those of reading the log. */
  async programme(): Promise<Programme> {
    // What the programme's first record says holds for ever.
    this.#programme ??= (await this.#deps.control.read()).programme
    if (this.#programme !== null) return this.#programme
    throw new LoyaltyError(
      'programme_missing',
      'nothing has configured the programme yet, so that its currency is not known: run loyalty start, or upload a file',
    )
  }

  /**
   * `items`: called for each look at them, so that whoever has them as one text need not hold thousands of objects while
   * the log is at work, which every collection of garbage would copy. `durable` rejects with its errors, and those of the
   * log, among them `log_unavailable` where it does not answer in time.
   */
  admit(items: () => readonly unknown[], principal: Principal, programme: Programme): Admission {
    const admitted = this.#admit(items, principal, programme)
    return {
      durable: inTime(admitted, this.#deps.commitMs ?? 30_000),
      settled: admitted.catch(() => {}),
    }
  }

  /** Appends what the items become; those that become something else by the time when it is durable, once more. */
  async #admit(items: () => readonly unknown[], principal: Principal, programme: Programme): Promise<Admitted> {
    const { recordOf, commits, version = () => '' } = this.#deps
    const take = () =>
      items().map((item) => (item instanceof RefusedItem ? item.rejection : recordOf(item, principal, programme)))
    for (let before: readonly Taken[] = []; ; ) {
      const takenBy = version()
      const taken = take()
      await commits.append(recordsOf(taken, before, programme.partitions))
      if (version() === takenBy) return admittedOf(taken)
      before = taken
    }
  }
}

type Taken = TakenItem | Rejection

/** Records of the accepted items, without those that are as they were before. */
function recordsOf(taken: readonly Taken[], before: readonly Taken[], partitions: number): PartitionedRecord[] {
  return taken.flatMap((item, i) => {
    if ('code' in item) return []
    const { key, value } = item
    const old = before[i]
    if (old !== undefined && !('code' in old) && Buffer.compare(old.value, value) === 0) return []
    return [{ partition: partitionOf(key, partitions), record: { key, value } }]
  })
}

function admittedOf(taken: readonly Taken[]): Admitted {
  const verdicts = taken.map(
    (item): ItemVerdict => ('code' in item ? { status: 'rejected', ...item } : { status: 'accepted', id: item.id }),
  )
  return { verdicts, accepted: verdicts.filter(({ status }) => status === 'accepted').length }
}

function unconfirmed(ms: number): LoyaltyError {
  return new LoyaltyError(
    'log_unavailable',
    `the log did not confirm within ${ms / 1_000} s; some of it may have been written, send all of them again`,
    { retriable: true },
  )
}

async function inTime<Result>(work: Promise<Result>, ms: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unconfirmed(ms)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
