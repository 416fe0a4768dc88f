import type { NumberFormat } from '../parse/decimal.ts'
import type { FileProfile } from '../profile.ts'
import { type Assignment, confident } from './assign.ts'
import { type ColumnSeen, numbersIn } from './column.ts'
import { kindNamed } from './names.ts'
import { type Question, question } from './question.ts'

/** What rows are and come to: receipts or their lines, sums or prices, sales or refunds. */

/** A part of a profile, and what of it a person has to confirm. */
export interface Found<Part> {
  readonly part: Part
  readonly open: readonly Question[]
}

/** Row numbers, from 0, of each receipt number that stands in the sample. */
function receiptsIn(keys: readonly (ColumnSeen | undefined)[]): Map<string, number[]> {
  const columns = keys.filter((column) => column !== undefined)
  const groups = new Map<string, number[]>()
  const rows = columns[0]?.cells.length ?? 0
  for (let row = 0; row < rows; row++) {
    const key = columns.map((column) => column.cells[row]).join('\u001f')
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [row])
    else group.push(row)
  }
  return groups
}

/**
 * What identifies a receipt, and whether rows are receipts or lines. The parts of the identity follow from the columns
 * alone, so that every export with the same header gets the same: what differs between two would count receipts twice.
 */
export function receiptsOf(
  assigned: Assignment,
): Found<Pick<FileProfile, 'grain'> & { identity: FileProfile['system']['identity'] }> {
  const column = (field: 'receipt_number' | 'store' | 'terminal' | 'client' | 'original') => assigned.get(field)?.column
  const receipt = assigned.get('receipt_number')
  const hasLines = assigned.has('sku') || assigned.has('description')
  if (receipt === undefined) {
    const open = hasLines
      ? [
          question(
            'columns.receipt_number',
            'rows name articles, but no column is the number of a receipt: which one is it?',
          ),
        ]
      : []
    return { part: { grain: 'receipt', identity: [] }, open }
  }
  const identity: FileProfile['system']['identity'] = []
  if (assigned.has('store')) identity.push('store')
  if (assigned.has('terminal')) identity.push('terminal')
  // Tills begin anew every day. What refunds name is found without a day only.
  if (!assigned.has('original')) identity.push('day')
  identity.push('receipt_number')
  const day = assigned.get('occurred_at')?.column
  const groups = receiptsIn([
    column('store'),
    column('terminal'),
    assigned.has('original') ? undefined : dayOnly(day),
    receipt.column,
  ])
  const open: Question[] = []
  const mixed = [...groups.values()].filter((rows) => distinctIn(rows, column('client')) > 1).length
  if (mixed > 0)
    open.push(
      question(
        'system.identity',
        `${mixed} receipts of the first rows have lines of several clients: what else tells receipts apart?`,
      ),
    )
  const repeated = groups.size < receipt.column.cells.length
  if (repeated && !hasLines && !assigned.has('quantity'))
    open.push(
      question('grain', 'receipt numbers come again, but rows name no articles: is a row a receipt, or a line of one?'),
    )
  return { part: { grain: repeated || hasLines ? 'line' : 'receipt', identity }, open }
}

/** The column with what stands before the first space or T of each date. */
function dayOnly(column: ColumnSeen | undefined): ColumnSeen | undefined {
  return column === undefined
    ? undefined
    : { ...column, cells: column.cells.map((cell) => cell.split(/[ T]/)[0] ?? '') }
}

function distinctIn(rows: readonly number[], column: ColumnSeen | undefined): number {
  return new Set(rows.map((row) => column?.cells[row] ?? '').filter((cell) => cell !== '')).size
}

export type Money = Pick<FileProfile['columns'], 'amount' | 'unit_price' | 'quantity'>

/** Sum of a row, or price and quantity; `confidence` is that of the less certain column. */
export function moneyOf(assigned: Assignment, numbers: NumberFormat): Found<Money> & { readonly confidence: number } {
  const amount = assigned.get('amount')
  const price = assigned.get('unit_price')
  const quantity = assigned.get('quantity')
  const quantityPart = quantity === undefined ? {} : { quantity: quantity.column.reference }
  const product = price !== undefined && quantity !== undefined ? Math.min(price.confidence, quantity.confidence) : 0
  if (amount !== undefined && (amount.confidence >= product || amount.confidence >= confident)) {
    const isOfReceipt = standsForReceipts(assigned, amount.column, numbers)
    if (!isOfReceipt)
      return { part: { amount: amount.column.reference, ...quantityPart }, open: [], confidence: amount.confidence }
    if (product < confident)
      return {
        part: { amount: amount.column.reference, ...quantityPart },
        open: [
          question(
            'columns.amount',
            `"${amount.column.name}" is the same in all lines of a receipt: is it the sum of the receipt or of the line?`,
          ),
        ],
        confidence: amount.confidence,
      }
  }
  if (price !== undefined && quantity !== undefined)
    return {
      part: { unit_price: price.column.reference, quantity: quantity.column.reference },
      open: [],
      confidence: product,
    }
  const open = [
    question(
      'columns.amount',
      price === undefined
        ? 'which column is the sum of a row?'
        : `is "${price.column.name}" the sum of a row? No column is a quantity`,
    ),
  ]
  const only = price === undefined ? {} : { amount: price.column.reference }
  return { part: { ...only, ...quantityPart }, open, confidence: 0 }
}

/** True where all lines of nearly every receipt of several lines show one sum, and other columns say that they differ. */
function standsForReceipts(assigned: Assignment, amount: ColumnSeen, numbers: NumberFormat): boolean {
  const receipt = assigned.get('receipt_number')?.column
  if (receipt === undefined) return false
  const sums = numbersIn(amount, numbers)
  const article = (assigned.get('sku') ?? assigned.get('description'))?.column
  let several = 0
  let equal = 0
  for (const rows of receiptsIn([assigned.get('store')?.column, assigned.get('terminal')?.column, receipt]).values()) {
    if (rows.length < 2 || (article !== undefined && distinctIn(rows, article) < 2)) continue
    several++
    if (rows.every((row) => sums[row] === sums[rows[0]!])) equal++
  }
  return several >= 3 && equal > several * 0.9
}

type Kinds = FileProfile['kinds']

/** How refunds and voids are told: by the values of a column, by a prefix of receipt numbers, or by the sign. */
export function kindsOf(assigned: Assignment, money: Money, numbers: NumberFormat): Found<Kinds> {
  const signs = signsOf(assigned, money, numbers)
  const kind = assigned.get('kind')
  if (kind !== undefined && kind.confidence >= confident * 0.6) return kindsByColumn(kind.column, signs)
  const negative = signs.flatMap((sign, row) => (sign < 0 ? [row] : []))
  const prefix = prefixOf(assigned.get('receipt_number')?.column, negative)
  if (prefix !== null)
    return {
      part: {
        refund: { receipt_prefix: prefix },
        negative_is_refund: false,
        refund_sign: 'negative',
      },
      open: [],
    }
  const kinds: Kinds = { negative_is_refund: negative.length > 0, refund_sign: 'negative' }
  return { part: kinds, open: [] }
}

function kindsByColumn(column: ColumnSeen, signs: readonly number[]): Found<Kinds> {
  const values = { sale: new Set<string>(), refund: new Set<string>(), void: new Set<string>() }
  const unknown = new Set<string>()
  let [negative, positive] = [0, 0]
  column.cells.forEach((cell, row) => {
    const named = kindNamed(cell)
    if (named === null) unknown.add(cell)
    else values[named].add(cell)
    if (named !== 'refund') return
    if (signs[row]! < 0) negative++
    if (signs[row]! > 0) positive++
  })
  const open: Question[] = []
  if (unknown.size > 0)
    open.push(
      question(
        'kinds',
        `what kind is a row with ${[...unknown]
          .slice(0, 5)
          .map((value) => `"${value}"`)
          .join(', ')} in "${column.name}"?`,
      ),
    )
  if (negative > 0 && positive > 0)
    open.push(question('kinds.refund_sign', `refunds have positive and negative sums (${positive} and ${negative})`))
  const marks = Object.fromEntries(
    Object.entries(values).flatMap(([kind, set]) => (set.size === 0 ? [] : [[kind, { values: [...set] }]])),
  )
  const kinds: Kinds = {
    ...marks,
    negative_is_refund: false,
    refund_sign: positive > negative ? 'positive' : 'negative',
  }
  return { part: kinds, open }
}

/** Sign of the sum of each row of the sample: -1, 0, 1. */
function signsOf(assigned: Assignment, money: Money, numbers: NumberFormat): number[] {
  const of = (field: 'amount' | 'unit_price' | 'quantity') => {
    const column = assigned.get(field)?.column
    return column === undefined ? undefined : numbersIn(column, numbers)
  }
  const values = money.unit_price === undefined ? of('amount') : of('unit_price')
  const quantities = money.unit_price === undefined ? undefined : of('quantity')
  return (values ?? []).map((value, row) => Math.sign(value * (quantities?.[row] ?? 1)) || 0)
}

/** Letters that every receipt number of negative rows begins with, and no other number does; null where there are none. */
function prefixOf(receipt: ColumnSeen | undefined, negative: readonly number[]): string | null {
  if (receipt === undefined || negative.length === 0) return null
  const prefix = /^\p{L}{1,3}[-_]?(?=\d)/u.exec(receipt.cells[negative[0]!] ?? '')?.[0]
  if (prefix === undefined || !negative.every((row) => receipt.cells[row]!.startsWith(prefix))) return null
  const isNegative = new Set(negative)
  return receipt.cells.some((cell, row) => !isNegative.has(row) && cell.startsWith(prefix)) ? null : prefix
}
