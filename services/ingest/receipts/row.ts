/** A row of a file: mapped, checked, not yet part of a receipt. */

export const kindCodes = { bySign: 0, sale: 1, refund: 2, void: 3 } as const
export type KindCode = (typeof kindCodes)[keyof typeof kindCodes]

export interface MappedRow {
  /** Number of the row in the file, from 1, without the header; in a workbook that of its sheet. */
  number: number
  /** What identifies the receipt within the file; rows with one key are one receipt (grain line). */
  key: string
  client: string
  kind: KindCode
  occurredAtMs: number
  /** Unit price or sum of the row. */
  valueMantissa: number
  valueScale: number
  /** 1 where the profile has no quantity. */
  quantityMantissa: number
  quantityScale: number
  sku: string
  description: string
  category: string
  store: string
  terminal: string
  receipt: string
  payment: string
  /** Receipt number of the original. */
  original: string
  /** Values in the order of the profile's attributes. */
  attributes: string[]
}

/** A row that was rejected, but belongs to a receipt, which is thereby incomplete. */
export interface SpoiltRow {
  readonly number: number
  readonly key: string
}

/** Attributes of rows that have none, however many they are. */
export const noAttributes: string[] = []
