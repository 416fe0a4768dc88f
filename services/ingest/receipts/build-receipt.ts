import type { ReceiptLine, TransactionKind } from '#schemas/events.ts'
import { maxAmountMinor } from '#streams/domain/transaction.ts'
import { minorDigits } from '../parse/currency.ts'
import { ExactSum, minorText } from '../parse/decimal.ts'
import type { FileProfile } from '../profile.ts'
import type { Reason } from '../verdicts.ts'
import { field } from './fields.ts'
import { type KindCode, kindCodes, type MappedRow } from './row.ts'

/** What a receipt comes to. */
export interface Receipt {
  readonly first: MappedRow
  readonly kind: Exclude<TransactionKind, 'UNKNOWN'>
  /** Earliest time of its rows. */
  readonly occurredAtMs: number
  /** Magnitude; 0 for a void. */
  readonly amountMinor: number
  readonly lines: readonly ReceiptLine[]
  readonly itemsCount: number
  readonly categories: readonly string[]
}

/** Why rows are no receipt. */
export interface ReceiptFault {
  readonly reason: Reason
  /** Index into `fieldsOf`. */
  readonly field: number
  /** What the receipt comes to; null where each row has its own value in the field. */
  readonly value: string | null
}

const maxItems = 2_147_483_647

/** Turns the rows of a receipt into what it comes to, or the reason why it cannot. */
export class ReceiptBuilder {
  readonly #digits: number
  readonly #refundsAreNegative: boolean
  readonly #withLines: boolean
  readonly #sum = new ExactSum()
  readonly #lineSum = new ExactSum()
  readonly #value = { mantissa: 0, scale: 0 }
  readonly #quantity = { mantissa: 0, scale: 0 }
  readonly #multiplied: boolean

  constructor(profile: FileProfile) {
    this.#digits = minorDigits(profile.currency)
    this.#refundsAreNegative = profile.kinds.refund_sign === 'negative'
    this.#withLines = profile.columns.sku !== undefined
    this.#multiplied = profile.columns.unit_price !== undefined
  }

  /** `rows` is not empty and in file order. The sum is exact and rounded once, half to even. */
  build(rows: readonly MappedRow[]): Receipt | ReceiptFault {
    const first = rows[0]!
    this.#sum.reset()
    let occurredAtMs = first.occurredAtMs
    for (const row of rows) {
      if (row.client !== first.client) return fault('client_mismatch', field.client)
      if (row.kind !== first.kind) return fault('client_mismatch', field.kind)
      occurredAtMs = Math.min(occurredAtMs, row.occurredAtMs)
      this.#addRow(this.#sum, row)
    }
    const signedMinor = this.#sum.toMinor(this.#digits)
    if (signedMinor === null || Math.abs(signedMinor) > maxAmountMinor) return fault('amount_out_of_range', field.value)
    const kind = kindOf(first.kind, signedMinor)
    const direction = kind === 'REFUND' && (this.#refundsAreNegative || first.kind === kindCodes.bySign) ? -1 : 1
    const amountMinor = kind === 'VOID' ? 0 : signedMinor * direction
    if (kind !== 'VOID' && amountMinor === 0) return fault('zero_amount', field.value, this.textOf(signedMinor))
    if (amountMinor < 0) return fault('negative_amount', field.value, this.textOf(signedMinor))
    const lines = this.#withLines ? this.#lines(rows, direction) : []
    if (lines === null) return fault('amount_out_of_range', field.value)
    return {
      first,
      kind,
      occurredAtMs,
      amountMinor,
      lines,
      itemsCount: this.#itemsOf(rows),
      categories: distinct(rows.map((row) => row.category)),
    }
  }

  /** An amount as verdicts show it. */
  textOf(minor: number): string {
    return minorText(minor, this.#digits)
  }

  #addRow(sum: ExactSum, row: MappedRow): void {
    if (!this.#multiplied) {
      sum.add(row.valueMantissa, row.valueScale)
      return
    }
    this.#value.mantissa = row.valueMantissa
    this.#value.scale = row.valueScale
    this.#quantity.mantissa = row.quantityMantissa
    this.#quantity.scale = row.quantityScale
    sum.addProduct(this.#value, this.#quantity)
  }

  /**
   * Lines in the direction of the receipt: what a refund gives back is positive, a discount line is negative. Each is
   * rounded for itself, so that they may differ from the receipt's sum by a few minor units.
   */
  #lines(rows: readonly MappedRow[], direction: 1 | -1): ReceiptLine[] | null {
    const lines: ReceiptLine[] = []
    for (const row of rows) {
      this.#lineSum.reset()
      this.#addRow(this.#lineSum, row)
      const amountMinor = this.#lineSum.toMinor(this.#digits)
      if (amountMinor === null) return null
      lines.push({
        sku: row.sku,
        description: row.description === '' ? null : row.description,
        category: row.category === '' ? null : row.category,
        quantity: direction * (row.quantityMantissa / 10 ** row.quantityScale) + 0,
        amount_minor: direction * amountMinor + 0,
      })
    }
    return lines
  }

  /** Pieces; what is sold by weight counts as one. */
  #itemsOf(rows: readonly MappedRow[]): number {
    let items = 0
    for (const row of rows) items += row.quantityScale === 0 ? Math.abs(row.quantityMantissa) : 1
    return Math.min(items, maxItems)
  }
}

function fault(reason: Reason, fieldIndex: number, value: string | null = null): ReceiptFault {
  return { reason, field: fieldIndex, value }
}

function kindOf(code: KindCode, signedMinor: number): Receipt['kind'] {
  if (code === kindCodes.void) return 'VOID'
  if (code === kindCodes.refund || (code === kindCodes.bySign && signedMinor < 0)) return 'REFUND'
  return 'SALE'
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)].filter((value) => value !== '')
}
