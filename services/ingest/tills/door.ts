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

/** Verdicts on some items, and the moment from which they hold. */
export interface Admission {
  readonly verdicts: readonly ItemVerdict[]
  readonly accepted: number
  /** Resolves once the log has every accepted item durably; rejects in time where it does not answer. */
  readonly durable: Promise<void>
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

  /** `durable` rejects with the errors of the log, among them `log_unavailable` where it does not answer in time. */
  admit(items: readonly unknown[], principal: Principal, programme: Programme): Admission {
    const records: PartitionedRecord[] = []
    const verdicts = items.map((item): ItemVerdict => {
      const taken = item instanceof RefusedItem ? item.rejection : this.#deps.recordOf(item, principal, programme)
      if ('code' in taken) return { status: 'rejected', ...taken }
      const { key, value, id } = taken
      records.push({ partition: partitionOf(key, programme.partitions), record: { key, value } })
      return { status: 'accepted', id }
    })
    const appended = this.#deps.commits.append(records)
    const settled = appended.catch(() => {})
    return { verdicts, accepted: records.length, durable: inTime(appended, this.#deps.commitMs ?? 30_000), settled }
  }
}

function unconfirmed(ms: number): LoyaltyError {
  return new LoyaltyError(
    'log_unavailable',
    `the log did not confirm within ${ms / 1_000} s; some of it may have been written, send all of them again`,
    { retriable: true },
  )
}

async function inTime(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unconfirmed(ms)), ms)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
