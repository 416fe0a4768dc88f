import type { Adjustment, Fact, TransactionsAccepted } from '#schemas/events.ts'
import type { Batch, Delivery, Projection } from '../projection.ts'
import { RowBinary } from '../row-binary.ts'
import { type ClickHouseTarget, command, insertOnce, select } from './clickhouse-target.ts'

const factColumns = [
  ...['client_id', 'transaction_key', 'transaction_id', 'kind', 'occurred_at', 'day', 'partition', 'log_offset'],
  ...['amount_minor', 'source', 'batch_id', 'store_id', 'terminal_id', 'receipt_number', 'original_transaction_id'],
  ...['payment_method', 'items_count', 'categories', 'discount_minor', 'bonus_earned_minor', 'bonus_spent_minor'],
  ...['purchase_number', 'days_since_previous', 'segment_before', 'arrived_day'],
]
const repeatColumns = ['day', 'store_id', 'batch_id', 'partition', 'step', 'repeats']
const batchColumns = ['batch_id', 'partition', 'step', 'accepted', 'duplicates', 'dead']
const effectColumns = [
  ...['client_id', 'transaction_key', 'log_offset', 'day', 'store_id'],
  ...['sales_change', 'gross_change_minor', 'net_change_minor'],
]
const kinds = { SALE: 1, REFUND: 2, VOID: 3 } as const

/** Facts and their own effects as bytes; adjustments as they came, because their stores are still to be looked up. */
class FactsBatch implements Batch {
  readonly facts = new RowBinary()
  readonly effects = new RowBinary()
  readonly repeats = new RowBinary(4_096)
  readonly batches = new RowBinary(4_096)
  readonly adjustments: Adjustment[] = []
  /** Partitions whose block has further parts: an adjustment may refer to a fact in any part of its block. */
  readonly #openBlocks = new Set<number>()

  get rows(): number {
    return this.facts.rows + this.adjustments.length + this.repeats.rows + this.batches.rows
  }

  get open(): boolean {
    return this.#openBlocks.size > 0
  }

  add(delivery: Delivery): void {
    if (delivery.name !== 'TransactionsAccepted') return
    const { event, partition } = delivery
    if (event.part < event.parts) this.#openBlocks.add(partition)
    else this.#openBlocks.delete(partition)
    for (const fact of event.facts) {
      this.#fact(fact, partition)
      if (fact.count_effect !== 0 || fact.gross_effect_minor !== 0 || fact.net_effect_minor !== 0)
        writeEffect(this.effects, fact, fact.store_id ?? '')
    }
    this.adjustments.push(...event.adjustments)
    this.#counts(event, partition)
  }

  #counts({ step, repeats, batches }: TransactionsAccepted, partition: number): void {
    for (const { day, store_id, batch_id, repeats: count } of repeats) {
      const rows = this.repeats
      rows.int32(day)
      rows.string(store_id ?? '')
      rows.string(batch_id ?? '')
      rows.uint16(partition)
      rows.int64(step)
      rows.int32(count)
      rows.endRow()
    }
    for (const { batch_id, accepted, duplicates, dead } of batches) {
      const rows = this.batches
      rows.string(batch_id)
      rows.uint16(partition)
      rows.int64(step)
      for (const count of [accepted, duplicates, dead]) rows.int32(count)
      rows.endRow()
    }
  }

  #fact(fact: Fact, partition: number): void {
    const rows = this.facts
    rows.string(fact.client_id)
    rows.uint64BigEndian(fact.transaction_key)
    rows.string(fact.transaction_id)
    rows.uint8(kinds[fact.kind])
    rows.int64(fact.occurred_at)
    rows.int32(fact.day)
    rows.uint16(partition)
    rows.int64(fact.offset)
    rows.int64(fact.amount_minor)
    rows.string(fact.source)
    rows.string(fact.batch_id ?? '')
    rows.string(fact.store_id ?? '')
    rows.string(fact.terminal_id ?? '')
    rows.string(fact.receipt_number ?? '')
    rows.string(fact.original_transaction_id ?? '')
    rows.string(fact.payment_method ?? '')
    rows.int32(fact.items_count)
    rows.strings(fact.categories)
    rows.int64(fact.discount_minor)
    rows.int64(fact.bonus_earned_minor)
    rows.int64(fact.bonus_spent_minor)
    rows.nullable(fact.purchase_number, 'int32')
    rows.nullable(fact.days_since_previous, 'int32')
    rows.string(fact.segment_before ?? '')
    rows.nullable(fact.arrived_day, 'int32')
    rows.endRow()
  }
}

function writeEffect(rows: RowBinary, effect: Adjustment, store: string): void {
  rows.string(effect.client_id)
  rows.uint64BigEndian(effect.transaction_key)
  rows.int64(effect.offset)
  rows.int32(effect.day)
  rows.string(store)
  rows.int32(effect.count_effect)
  rows.int64(effect.gross_effect_minor)
  rows.int64(effect.net_effect_minor)
  rows.endRow()
}

/**
 * Counts of blocks (`transaction_repeats`, `batch_counts`), facts (`transactions`), their effects (`transaction_effects`) and through a view `daily_sales`, from the blocks of
 * `accepted`. An adjustment names no store; its transaction was accepted before it or in the same block, so the store is
 * read back from the facts, which are inserted first. Stores of a fact never change: a repetition finds the same.
 */
export const clickhouseFacts: Projection<ClickHouseTarget, FactsBatch> = {
  name: 'clickhouse-facts',
  version: 2,
  handles: ['accepted'],
  tables: [
    ...['transactions', 'transaction_effects', 'daily_sales', 'daily_sales_mv'],
    ...['transaction_repeats', 'batch_counts'],
  ],
  begin: () => new FactsBatch(),
  async init() {},

  async apply(batch, target) {
    await insertOnce(target, 'transaction_repeats', repeatColumns, batch.repeats)
    await insertOnce(target, 'batch_counts', batchColumns, batch.batches)
    await insertOnce(target, 'transactions', factColumns, batch.facts)
    const stores = await storesOf(target, batch.adjustments)
    for (const adjustment of batch.adjustments)
      writeEffect(batch.effects, adjustment, stores.get(identityOf(adjustment)) ?? '')
    batch.adjustments.length = 0
    await insertOnce(target, 'transaction_effects', effectColumns, batch.effects)
  },

  async truncate({ client, suffix }) {
    for (const table of ['transactions', 'transaction_effects', 'daily_sales', 'transaction_repeats', 'batch_counts'])
      await command(client, `TRUNCATE TABLE ${table}${suffix}`)
  },
}

const lookupSize = 5_000

async function storesOf(
  { client, suffix }: ClickHouseTarget,
  adjustments: readonly Adjustment[],
): Promise<Map<string, string>> {
  const stores = new Map<string, string>()
  for (let from = 0; from < adjustments.length; from += lookupSize) {
    const slice = adjustments.slice(from, from + lookupSize)
    const found = await select<{ client_id: string; key: string; store_id: string }>(client, {
      sql: `SELECT client_id, toString(transaction_key) AS key, store_id FROM transactions${suffix}
            WHERE client_id IN {clients:Array(String)} AND transaction_key IN {keys:Array(UInt64)} AND store_id != ''`,
      params: {
        clients: [...new Set(slice.map(({ client_id }) => client_id))],
        keys: [...new Set(slice.map(({ transaction_key }) => keyNumber(transaction_key)))],
      },
    })
    for (const { client_id, key, store_id } of found) stores.set(`${key} ${client_id}`, store_id)
  }
  return stores
}

function identityOf({ client_id, transaction_key }: Adjustment): string {
  return `${keyNumber(transaction_key)} ${client_id}`
}

function keyNumber(key: Uint8Array): bigint {
  return new DataView(key.buffer, key.byteOffset, 8).getBigUint64(0)
}
