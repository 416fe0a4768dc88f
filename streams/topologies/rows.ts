import { ClientStateEncoder } from '#schemas/client-state.ts'
import type { ClientStateChanged, ClientStateTail, ClientStateValues } from '#schemas/events.ts'
import { hash64Words } from '../domain/hash.ts'
import { rfmText } from '../domain/scoring.ts'
import { none, type Values } from '../domain/values.ts'
import type { EmittedRow } from './client.ts'

/** A classification, or null for a client without one. */
export interface Standing {
  readonly segment: string
  readonly loyaltyScore: number
}

/** A row to emit: its framed bytes, and what is kept of it. */
export interface NextRow {
  readonly bytes: Buffer
  readonly row: EmittedRow
}

const hash = { hi: 0, lo: 0 }

/** Makes the rows of client-state out of values. */
export class RowWriter {
  readonly #encoder: ClientStateEncoder

  constructor(schemaId: number) {
    this.#encoder = new ClientStateEncoder(schemaId)
  }

  /**
   * The next row of a client, or null where every value equals the row before. `tail.version` is that of the row before,
   * 0 for none.
   */
  next(
    clientId: string,
    values: Values,
    standing: Standing | null,
    before: EmittedRow | null,
    tail: ClientStateTail,
  ): NextRow | null {
    this.#hash(rowValues(clientId, values, standing))
    if (before !== null && before.valuesHi === hash.hi && before.valuesLo === hash.lo) return null
    const version = tail.version + 1
    const [segment, loyaltyScore] = standing === null ? [null, null] : [standing.segment, standing.loyaltyScore]
    const row = { valuesHi: hash.hi, valuesLo: hash.lo, version, segment, loyaltyScore }
    return { bytes: this.#encoder.finish({ ...tail, version }), row }
  }

  /** What is kept of a row read back from the log. */
  emitted(row: ClientStateChanged): EmittedRow {
    this.#hash(row)
    const { version, segment, loyalty_score: loyaltyScore } = row
    return { valuesHi: hash.hi, valuesLo: hash.lo, version, segment, loyaltyScore }
  }

  #hash(values: ClientStateValues): void {
    const length = this.#encoder.values(values)
    hash64Words(this.#encoder.words, length, hash)
  }
}

function orNull(value: number): number | null {
  return value === none ? null : value
}

function rowValues(clientId: string, values: Values, standing: Standing | null): ClientStateValues {
  const { rScore, fScore, mScore } = values
  const bought = values.frequency > 0
  return {
    client_id: clientId,
    first_purchase_at: bought ? values.firstPurchaseAtMs : null,
    last_purchase_at: bought ? values.lastPurchaseAtMs : null,
    first_purchase_day: bought ? values.firstPurchaseDay : null,
    last_purchase_day: bought ? values.lastPurchaseDay : null,
    frequency: values.frequency,
    monetary_gross_minor: values.monetaryGrossMinor,
    monetary_net_minor: values.monetaryNetMinor,
    refunded_minor: values.refundedMinor,
    mean_receipt_minor: values.meanReceiptMinor,
    purchases_30d: values.purchases30d,
    purchases_90d: values.purchases90d,
    purchases_365d: values.purchases365d,
    spend_30d_minor: values.spend30dMinor,
    spend_90d_minor: values.spend90dMinor,
    spend_365d_minor: values.spend365dMinor,
    mean_days_between: orNull(values.meanDaysBetween),
    refund_share: values.refundShare,
    bonus_earned_minor: values.bonusEarnedMinor,
    bonus_spent_minor: values.bonusSpentMinor,
    stores: values.stores,
    transactions: values.transactions,
    waiting: values.waiting,
    flags: values.flags,
    r_score: orNull(rScore),
    f_score: orNull(fScore),
    m_score: orNull(mScore),
    rfm_score: rScore === none ? null : rfmText(rScore, fScore, mScore),
    segment: standing?.segment ?? null,
    loyalty_score: standing?.loyaltyScore ?? null,
  }
}
