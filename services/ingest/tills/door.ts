import { largestTransactionValue } from '#schemas/dead-letter.ts'
import type { EventEncoder } from '#schemas/encoder.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { Control } from '../control.ts'
import type { GroupCommit, PartitionedRecord } from './group-commit.ts'
import type { Principal } from './principal.ts'
import { RefusedItem, type Rejection } from './rejection.ts'
import { judge } from './verdict.ts'

export interface DoorDeps {
  readonly control: Pick<Control, 'read'>
  readonly encoder: EventEncoder<'TransactionRecorded'>
  readonly commits: GroupCommit
  /** How long a request waits for the log; default 30 s. */
  readonly commitMs?: number | undefined
}

interface Programme {
  readonly currency: string
  readonly partitions: number
}

export type ItemVerdict =
  | { readonly status: 'accepted'; readonly transactionId: string }
  | ({ readonly status: 'rejected' } & Rejection)

/** Verdicts on some items, and the moment from which they hold. */
export interface Admission {
  readonly verdicts: readonly ItemVerdict[]
  readonly accepted: number
  /** Resolves once the log has every accepted transaction durably; rejects in time where it does not answer. */
  readonly durable: Promise<void>
  /** Resolves when nothing of this is under way any more, whatever became of it. */
  readonly settled: Promise<unknown>
}

/** Takes transactions to the log: a verdict on each, an event for each that is accepted. */
export class TillDoor {
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
      const verdict = item instanceof RefusedItem ? item.rejection : this.#recordOf(item, principal, programme)
      if ('code' in verdict) return { status: 'rejected', ...verdict }
      records.push(verdict.record)
      return { status: 'accepted', transactionId: verdict.transactionId }
    })
    const appended = this.#deps.commits.append(records)
    const settled = appended.catch(() => {})
    return { verdicts, accepted: records.length, durable: inTime(appended, this.#deps.commitMs ?? 30_000), settled }
  }

  #recordOf(item: unknown, principal: Principal, { currency, partitions }: Programme) {
    const event = judge(item, principal, { currency })
    if ('code' in event) return event
    const key = Buffer.from(event.client_id)
    const value = this.#deps.encoder.encode(event)
    if (value.length > largestTransactionValue) return tooLarge(value.length)
    const record: PartitionedRecord = { partition: partitionOf(key, partitions), record: { key, value } }
    return { record, transactionId: event.transaction_id }
  }
}

function tooLarge(bytes: number): Rejection {
  const message = `the transaction takes ${bytes} bytes as an event, at most ${largestTransactionValue} are allowed`
  return { code: 'too_large', field: null, message }
}

function unconfirmed(ms: number): LoyaltyError {
  return new LoyaltyError(
    'log_unavailable',
    `the log did not confirm within ${ms / 1_000} s; some transactions may have been written, send all of them again`,
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
