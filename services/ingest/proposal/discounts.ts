import type { Assignment } from './assign.ts'
import type { ColumnSeen } from './column.ts'
import { isNameOfDiscounts, isPriceAfterDiscount } from './names.ts'
import { looksLikeSum } from './numbers.ts'
import { type Question, question } from './question.ts'
import type { Money } from './receipts.ts'

/** Discounts that stand in a column of their own, which no profile reads. */

/** The question about discounts of the first rows where a row comes to a price times a quantity, as before a discount. */
export function discountsUnread(columns: readonly ColumnSeen[], assigned: Assignment, money: Money): Question[] {
  const price = assigned.get('unit_price')?.column
  if (money.unit_price === undefined || price === undefined || isPriceAfterDiscount(price.name)) return []
  const read = new Set([...assigned.values()].map(({ column }) => column.index))
  const unread = columns.find((column) => !read.has(column.index) && hasDiscounts(column))
  if (unread === undefined) return []
  const sum = `"${price.name}" times "${assigned.get('quantity')?.column.name}"`
  return [
    question(
      'columns.unit_price',
      `"${unread.name}" is not read, a row comes to ${sum}: is the price after the discount? ` +
        'If so, give the profile as it is; else name a column with the sum after the discount as columns.amount',
    ),
  ]
}

function hasDiscounts({ name, values }: ColumnSeen): boolean {
  const isDiscount = (value: string) => /[1-9]/.test(value) && looksLikeSum(value.replace(/\s*%$/, ''))
  return isNameOfDiscounts(name) && values.some(isDiscount)
}
