import type { BlockEncoder } from '#schemas/block.ts'
import { type DeadLetterReason, deadLetterRecord } from '#schemas/dead-letter.ts'
import type { ReclassificationCause } from '#schemas/events.ts'
import { LoyaltyError } from '../core/error.ts'
import { type Effects, newEffects } from '../domain/effects.ts'
import { entryOf, newEntry } from '../domain/entry.ts'
import { Kind, type Transaction } from '../domain/transaction.ts'
import type { LogRecord, NewRecord } from '../log/log.ts'
import type { SweepCause } from '../runtime/position.ts'
import type { FoldOutcome, StepIdentity, StepOutput, WorkingSet } from '../runtime/topology.ts'
import type { StateChange } from '../state/state-store.ts'
import type { Client, EmittedRow } from './client.ts'
import type { ClientStore } from './client-store.ts'
import type { LoyaltyContext } from './context.ts'
import type { Evaluator } from './evaluation.ts'
import { takeIn, writerOf } from './intake.ts'
import type { LoyaltyShared } from './loyalty.ts'
import type { ModelInForce } from './models.ts'
import { StepFacts, transactionKey } from './step-facts.ts'
import type { StreamedTransaction } from './wire.ts'

/** A client in the working set. */
interface Touched {
  readonly client: Client
  /** Whether something has to be stored. */
  changed: boolean
  /** Whether it has to be evaluated: its ledger changed, or a sweep took it. */
  due: boolean
  /** Ids of the step's transactions that counted, and the gravest kind among them; sweeps touch without any. */
  readonly transactionIds: string[]
  gravest: Kind
}

const accepted: FoldOutcome = { kind: 'accepted' }
const duplicate: FoldOutcome = { kind: 'duplicate' }
const entry = newEntry()
const effects = newEffects()
/** Ids listed in one reclassification. */
const mostIds = 1_000

/** The working set of one step of the loyalty topology. */
export class LoyaltyStep implements WorkingSet {
  readonly #shared: LoyaltyShared
  readonly #partition: number
  readonly #clients: ClientStore
  readonly #evaluator: Evaluator
  readonly #context: LoyaltyContext
  /** Folding again what was folded once: nothing is told of it. */
  readonly #restoring: boolean
  readonly #touched = new Map<string, Touched>()
  readonly #facts: StepFacts
  readonly #rows: NewRecord[] = []
  readonly #reclassifications: NewRecord[] = []
  #inForce: ModelInForce | null = null
  /** Why clients that no transaction touched are evaluated. */
  #sweepCause: ReclassificationCause
  #evaluated = 0

  constructor(
    shared: LoyaltyShared,
    partition: number,
    clients: ClientStore,
    evaluator: Evaluator,
    block: BlockEncoder,
    context: LoyaltyContext,
    restoring: boolean,
  ) {
    this.#shared = shared
    this.#partition = partition
    this.#clients = clients
    this.#evaluator = evaluator
    this.#context = context
    this.#restoring = restoring
    this.#sweepCause = context.cause
    this.#facts = new StepFacts(block)
    if (context.domain.programme !== null) clients.setCap(context.domain.programme.ledgerCap)
  }

  get size(): number {
    return this.#touched.size
  }

  fold(record: LogRecord): FoldOutcome {
    const programme = this.#context.domain.programme!
    const intake = takeIn(record, this.#shared.transactions, programme, this.#partition)
    if (intake.kind === 'refused') {
      if (intake.outcome.kind === 'dead') this.#facts.count(intake.batchId, 'dead')
      return intake.outcome
    }
    const { event, transaction } = intake
    const touched = this.#touch(transaction.clientId)
    const outcome = touched.client.ledger.apply(entryOf(transaction, entry), effects)
    if (outcome === 'accepted') {
      this.#accept(touched, event, transaction, record.offset, effects)
      return accepted
    }
    if (outcome === 'duplicate') {
      this.#facts.count(event.batch_id, 'duplicates')
      return duplicate
    }
    this.#facts.count(event.batch_id, 'dead')
    const detail =
      outcome === 'conflicting_duplicate'
        ? `transaction ${event.transaction_id} was recorded before with other content`
        : `the original ${event.original_transaction_id} is older than the ledger keeps in full`
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
    for (const client of clients) (this.#touched.get(client.id) ?? this.#lay(client.fork())).due = true
    return cursor
  }

  async evaluate(): Promise<void> {
    const due = [...this.#touched.values()].filter(({ due }) => due)
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
    const touched = this.#touch(decoded.event.client_id)
    touched.client.row = rows.emitted(decoded.event)
    touched.changed = true
    return undefined
  }

  *changes(): Iterable<StateChange> {
    for (const { client, changed } of this.#touched.values()) if (changed) yield* this.#clients.changesOf(client)
  }

  keep(): void {
    for (const { client, changed } of this.#touched.values()) if (changed) this.#clients.keep(client)
  }

  #touch(clientId: string): Touched {
    const known = this.#touched.get(clientId)
    if (known !== undefined) return known
    const client = this.#clients.get(clientId)
    return this.#lay(client === undefined ? this.#clients.create(clientId) : client.fork())
  }

  #lay(client: Client): Touched {
    const touched: Touched = { client, changed: false, due: false, transactionIds: [], gravest: Kind.unknown }
    this.#touched.set(client.id, touched)
    return touched
  }

  #accept(
    touched: Touched,
    event: StreamedTransaction,
    transaction: Transaction,
    offset: number,
    effect: Effects,
  ): void {
    const { client } = touched
    const { calendar } = this.#context.domain
    const day = calendar.dayOf(transaction.occurredAtMs)
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
    if (touched.transactionIds.length < mostIds) touched.transactionIds.push(transaction.transactionId)
    if (transaction.kind > touched.gravest) touched.gravest = transaction.kind
    this.#facts.count(event.batch_id, 'accepted')
    this.#facts.add({
      transaction_id: event.transaction_id,
      transaction_key: transactionKey(entry.idHi, entry.idLo),
      client_id: event.client_id,
      kind: event.kind === 'SALE' ? 'SALE' : event.kind === 'REFUND' ? 'REFUND' : 'VOID',
      occurred_at: event.occurred_at,
      day,
      offset,
      amount_minor: event.amount_minor,
      source: event.source,
      batch_id: event.batch_id,
      store_id: event.store_id,
      terminal_id: event.terminal_id,
      receipt_number: event.receipt_number,
      original_transaction_id: event.original_transaction_id,
      payment_method: event.payment_method,
      items_count: event.items_count,
      categories: event.categories,
      discount_minor: event.discount_minor,
      bonus_earned_minor: event.bonus_earned_minor,
      bonus_spent_minor: event.bonus_spent_minor,
      count_effect: effect.count,
      gross_effect_minor: effect.grossMinor,
      net_effect_minor: effect.netMinor,
      purchase_number: counts ? client.counted : null,
      days_since_previous: counts && before >= 0 && day >= before ? day - before : null,
      segment_before: client.row?.segment ?? null,
    })
  }

  #reclassify(
    { client, transactionIds, gravest }: Touched,
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
      cause: transactionIds.length === 0 ? this.#sweepCause : causes[gravest]!,
      transaction_ids: transactionIds,
      model_id: model?.id ?? null,
      model_version: model?.version ?? null,
      as_of: this.#context.domain.asOf.date,
      version: after.version,
    })
    this.#reclassifications.push({ key: client.key, value })
  }
}

const causes: Readonly<Record<Kind, ReclassificationCause>> = {
  [Kind.unknown]: 'time',
  [Kind.sale]: 'purchase',
  [Kind.refund]: 'refund',
  [Kind.void]: 'correction',
}
