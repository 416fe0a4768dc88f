import type { BlockEncoder } from '#schemas/block.ts'
import { type DeadLetterReason, deadLetterRecord } from '#schemas/dead-letter.ts'
import type { ReclassificationCause } from '#schemas/events.ts'
import { forwardedRecord } from '#schemas/forward.ts'
import { type ScannedTransaction, textAt } from '#schemas/transaction-scan.ts'
import { LoyaltyError } from '../core/error.ts'
import { copyOfKey, KeyTable } from '../core/key-table.ts'
import { murmur2 } from '../core/partitioner.ts'
import { type Effects, newEffects } from '../domain/effects.ts'
import type { Outcome } from '../domain/ledger.ts'
import { Kind } from '../domain/transaction.ts'
import type { LogRecord, NewRecord } from '../log/log.ts'
import type { SweepCause } from '../runtime/position.ts'
import type { FoldOutcome, StepIdentity, StepOutput, WorkingSet } from '../runtime/topology.ts'
import type { StateChange } from '../state/state-store.ts'
import type { Client, EmittedRow } from './client.ts'
import type { ClientStore } from './client-store.ts'
import type { LoyaltyContext } from './context.ts'
import type { Door } from './door.ts'
import type { Evaluator } from './evaluation.ts'
import { writerOf } from './intake.ts'
import type { LoyaltyShared } from './loyalty.ts'
import type { ModelInForce } from './models.ts'
import { StepFacts } from './step-facts.ts'

/** A client in the working set. */
interface Touched {
  readonly key: Buffer
  readonly client: Client
  /** Whether something has to be stored. */
  changed: boolean
  /** Whether it has to be evaluated: its ledger changed, or a sweep took it. */
  due: boolean
  /** Places of the facts of the step's transactions that counted, and the gravest kind among them; sweeps touch without any. */
  readonly facts: number[]
  gravest: number
}

const accepted: FoldOutcome = { kind: 'accepted' }
const duplicate: FoldOutcome = { kind: 'duplicate' }
const effects = newEffects()
/** Ids listed in one reclassification. */
const mostIds = 1_000

/** What the steps of one task share. */
export interface LoyaltyTaskParts {
  readonly partition: number
  readonly clients: ClientStore
  readonly door: Door
  readonly evaluator: Evaluator
  readonly block: BlockEncoder
}

/** The working set of one step of the loyalty topology. */
export class LoyaltyStep implements WorkingSet {
  readonly #shared: LoyaltyShared
  readonly #partition: number
  readonly #clients: ClientStore
  readonly #door: Door
  readonly #evaluator: Evaluator
  readonly #context: LoyaltyContext
  /** Folding again what was folded once: nothing is told of it. */
  readonly #restoring: boolean
  readonly #touched = new KeyTable<Touched>()
  readonly #facts: StepFacts
  readonly #rows: NewRecord[] = []
  readonly #reclassifications: NewRecord[] = []
  #inForce: ModelInForce | null = null
  /** Why clients that no transaction touched are evaluated. */
  #sweepCause: ReclassificationCause
  #evaluated = 0
  #arrivedMs = Number.NaN
  #arrivedDay = 0

  constructor(shared: LoyaltyShared, task: LoyaltyTaskParts, context: LoyaltyContext, restoring: boolean) {
    this.#shared = shared
    this.#partition = task.partition
    this.#clients = task.clients
    this.#door = task.door
    this.#evaluator = task.evaluator
    this.#context = context
    this.#restoring = restoring
    this.#sweepCause = context.cause
    this.#facts = new StepFacts(task.block)
    if (context.domain.programme !== null) task.clients.setCap(context.domain.programme.ledgerCap)
  }

  get size(): number {
    return this.#touched.items.length
  }

  fold(record: LogRecord): FoldOutcome {
    const door = this.#door
    const turned = door.take(record, this.#context.domain.programme!)
    if (turned !== null) {
      if (turned.outcome.kind === 'dead') this.#facts.count(turned.batchId, 'dead')
      return turned.outcome
    }
    const { transaction, entry, clientHash } = door
    const { bytes, clientAt, clientEnd } = transaction
    const touched = this.#touch(clientHash, bytes, clientAt, clientEnd)
    const outcome = touched.client.ledger.apply(entry, effects)
    if (outcome === 'accepted') {
      this.#accept(touched, transaction, record, effects)
      return accepted
    }
    if (outcome === 'duplicate') {
      this.#facts.countScanned(transaction, 'duplicates')
      if (!this.#restoring) this.#facts.repeat(transaction, this.#context.domain.calendar.dayOf(transaction.occurredAt))
      return duplicate
    }
    this.#facts.countScanned(transaction, 'dead')
    const detail = refusalOf(outcome, transaction)
    return { kind: 'dead', reason: outcome, detail, foreseen: true }
  }

  async prepare(record: LogRecord): Promise<void> {
    const schemaId = writerOf(record.value)
    if (schemaId !== null) await this.#shared.transactions.ensure(schemaId)
  }

  async equip(before: string | null): Promise<string | null> {
    const { domain, models } = this.#context
    // Nothing is classified before the first date.
    if (domain.asOf.date !== null) this.#inForce = await this.#shared.models.newest(models, before)
    return this.#inForce?.name ?? null
  }

  sweep(after: Uint8Array | null, limit: number, cause: SweepCause): Uint8Array | null {
    if (cause === 'evaluation') this.#sweepCause = 'model'
    const { clients, cursor } = this.#clients.scan(after, limit)
    for (const client of clients) {
      const hash = murmur2(client.key)
      const touched = this.#touched.find(hash, client.key, 0, client.key.length) ?? this.#lay(hash, client)
      touched.due = true
    }
    return cursor
  }

  async evaluate(): Promise<void> {
    const due = this.#touched.items.filter((touched) => touched.due)
    const { domain } = this.#context
    const classifier = this.#inForce?.classifier ?? null
    const { values, standings } = await this.#evaluator.run(
      due.map(({ client }) => client),
      this.#context,
      classifier,
    )
    const model = classifier?.model
    due.forEach((touched, i) => {
      const { client } = touched
      const before = client.row
      const next = this.#shared.rows.next(client.id, values[i]!, standings[i]!, before, {
        model_id: standings[i] === null ? null : (model?.id ?? null),
        model_version: standings[i] === null ? null : (model?.version ?? null),
        as_of: domain.asOf.date,
        version: before?.version ?? 0,
      })
      if (next === null) return
      const { row, bytes } = next
      client.row = row
      touched.changed = true
      this.#rows.push({ key: client.key, value: bytes })
      if ((before?.segment ?? null) !== row.segment) this.#reclassify(touched, before, row, model)
    })
    this.#evaluated = due.length
  }

  output(identity: StepIdentity): StepOutput {
    return {
      rows: this.#rows,
      reclassifications: this.#reclassifications,
      blocks: this.#facts.render(this.#partition, identity),
      evaluated: this.#evaluated,
    }
  }

  deadLetter(record: LogRecord, reason: string, detail: string): NewRecord {
    const original = { ...record, topic: this.#shared.inputTopic, partition: this.#partition }
    return deadLetterRecord(original, reason as DeadLetterReason, detail, writerOf(record.value))
  }

  forward(record: LogRecord): NewRecord {
    return forwardedRecord({ ...record, partition: this.#partition })
  }

  restoreRow(record: LogRecord): Promise<void> | undefined {
    if (record.key === null || record.value === null) return undefined
    const { states, rows } = this.#shared
    const decoded = states.decode(record.value)
    if (decoded.kind === 'fetch') return states.ensure(decoded.schemaId).then(() => this.restoreRow(record))
    // Going on without it would count the client's versions from the start again.
    if (decoded.kind !== 'ok')
      throw new LoyaltyError(
        'row_unreadable',
        `a row of client-state cannot be read (${decoded.kind}); mend the registry`,
        { retriable: true, details: { offset: record.offset } },
      )
    const { key } = record
    const touched = this.#touch(murmur2(key), key, 0, key.length)
    touched.client.row = rows.emitted(decoded.event)
    touched.changed = true
    return undefined
  }

  *changes(): Iterable<StateChange> {
    for (const { client, changed } of this.#touched.items) if (changed) yield* this.#clients.changesOf(client)
  }

  keep(): void {
    for (const { client, changed } of this.#touched.items) if (changed) this.#clients.keep(client)
  }

  /** The client whose id lies in `bytes` from `from` to `to`; `hash` is the `murmur2` of it. */
  #touch(hash: number, bytes: Uint8Array, from: number, to: number): Touched {
    const known = this.#touched.find(hash, bytes, from, to)
    if (known !== undefined) return known
    return this.#lay(hash, this.#clients.take(copyOfKey(bytes, from, to)))
  }

  #lay(hash: number, client: Client): Touched {
    const { key } = client
    const touched: Touched = { key, client, changed: false, due: false, facts: [], gravest: Kind.unknown }
    this.#touched.add(hash, key, 0, key.length, touched)
    return touched
  }

  #accept(touched: Touched, transaction: ScannedTransaction, record: LogRecord, effect: Effects): void {
    const { client } = touched
    const { offset, timestampMs } = record
    const { calendar } = this.#context.domain
    const day = calendar.dayOf(transaction.occurredAt)
    const before = client.lastDay
    client.counted += effect.count
    for (const other of effect.others) {
      client.counted += other.count
      if (!this.#restoring) this.#facts.adjust(client.id, other, calendar.dayOf(other.occurredAtMs), offset)
    }
    const counts = effect.count > 0
    if (counts && day > before) client.lastDay = day
    touched.changed = true
    touched.due = true
    if (this.#restoring) return
    if (transaction.kind > touched.gravest) touched.gravest = transaction.kind
    this.#facts.countScanned(transaction, 'accepted')
    const { idHi, idLo } = this.#door.entry
    const place = this.#facts.add({
      transaction,
      keyHi: idHi,
      keyLo: idLo,
      day,
      offset,
      count_effect: effect.count,
      gross_effect_minor: effect.grossMinor,
      net_effect_minor: effect.netMinor,
      purchase_number: counts ? client.counted : null,
      days_since_previous: counts && before >= 0 && day >= before ? day - before : null,
      segment_before: client.row?.segment ?? null,
      arrived_day: this.#arrivalDay(timestampMs),
    })
    if (touched.facts.length < mostIds) touched.facts.push(place)
  }

  /** Records that were appended together have one arrival, far from the business days between which the calendar moves. */
  #arrivalDay(timestampMs: number): number {
    if (timestampMs !== this.#arrivedMs) {
      this.#arrivedMs = timestampMs
      this.#arrivedDay = this.#context.domain.calendar.dayOf(timestampMs)
    }
    return this.#arrivedDay
  }

  #reclassify(
    { client, facts, gravest }: Touched,
    before: EmittedRow | null,
    after: EmittedRow,
    model: { id: string; version: string } | undefined,
  ): void {
    const value = this.#shared.encoders.ClientReclassified.encode({
      client_id: client.id,
      before: before?.segment ?? null,
      after: after.segment,
      score_before: before?.loyaltyScore ?? null,
      score_after: after.loyaltyScore,
      cause: facts.length === 0 ? this.#sweepCause : causes[gravest]!,
      transaction_ids: facts.map((place) => this.#facts.transactionId(place)),
      model_id: model?.id ?? null,
      model_version: model?.version ?? null,
      as_of: this.#context.domain.asOf.date,
      version: after.version,
    })
    this.#reclassifications.push({ key: client.key, value })
  }
}

function refusalOf(
  outcome: Exclude<Outcome, 'accepted' | 'duplicate'>,
  { bytes, idAt, idEnd, originalAt, originalEnd }: ScannedTransaction,
): string {
  switch (outcome) {
    case 'conflicting_duplicate':
      return `transaction ${textAt(bytes, idAt, idEnd)} was recorded before with other content`
    case 'beyond_ledger':
      return `the original ${textAt(bytes, originalAt, originalEnd)} is older than the ledger keeps in full`
    case 'sums_too_large':
      return `with transaction ${textAt(bytes, idAt, idEnd)} the amounts of the client would come to more than 2^52 minor units`
  }
}

const causes: Readonly<Record<number, ReclassificationCause>> = {
  [Kind.unknown]: 'time',
  [Kind.sale]: 'purchase',
  [Kind.refund]: 'refund',
  [Kind.void]: 'correction',
}
