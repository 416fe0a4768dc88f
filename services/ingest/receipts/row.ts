/** A row of a file as it is spilled: mapped, checked, not yet part of a receipt. */

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

/** One line of JSON: an array of two for a spoilt row, of all fields for a mapped one. */
export function encodeRow(row: MappedRow): string {
  return `${JSON.stringify([
    row.number,
    row.key,
    row.client,
    row.kind,
    row.occurredAtMs,
    row.valueMantissa,
    row.valueScale,
    row.quantityMantissa,
    row.quantityScale,
    row.sku,
    row.description,
    row.category,
    row.store,
    row.terminal,
    row.receipt,
    row.payment,
    row.original,
    ...row.attributes,
  ])}\n`
}

export function encodeSpoilt(row: SpoiltRow): string {
  return `${JSON.stringify([row.number, row.key])}\n`
}

type Fields = [
  number,
  string,
  string,
  KindCode,
  number,
  number,
  number,
  number,
  number,
  string,
  string,
  string,
  string,
  string,
  string,
  string,
  string,
  ...string[],
]

export function decodeRow(line: string): MappedRow | SpoiltRow {
  const fields = JSON.parse(line) as Fields | [number, string]
  if (fields.length === 2) return { number: fields[0], key: fields[1] }
  // By index: taking the array apart by a pattern costs several times this, for every row.
  return {
    number: fields[0],
    key: fields[1],
    client: fields[2],
    kind: fields[3],
    occurredAtMs: fields[4],
    valueMantissa: fields[5],
    valueScale: fields[6],
    quantityMantissa: fields[7],
    quantityScale: fields[8],
    sku: fields[9],
    description: fields[10],
    category: fields[11],
    store: fields[12],
    terminal: fields[13],
    receipt: fields[14],
    payment: fields[15],
    original: fields[16],
    attributes: fields.slice(17) as string[],
  }
}
