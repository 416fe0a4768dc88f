import { isUnitOf } from '../parse/currency.ts'
import type { ColumnSeen } from './column.ts'
import { unitsBeside } from './numbers.ts'
import { type Question, question } from './question.ts'
import type { Sample } from './sample.ts'

/**
 * Questions about sums that have another currency beside them than they are read in, or that the cells of a workbook show so,
 * or in hundredths.
 */
export function shownOtherwise(
  { input }: Sample,
  sums: readonly (ColumnSeen | undefined)[],
  currency: string,
): Question[] {
  const cells = (input.sheet?.units ?? []).flatMap(({ column, unit }) => {
    const name = sums.find((each) => each?.index === column)?.name
    if (name === undefined || isUnitOf(unit, currency)) return []
    const shown = `the cells of "${name}" are shown in ${unit}`
    if (unit === '%') return [question('columns.amount', `${shown}: are they sums?`)]
    return [question('currency', `${shown}, and sums are read in ${currency}: which is it?`)]
  })
  const texts = sums.flatMap((column) => {
    const others = unitsBeside(column?.values ?? []).filter((unit) => !isUnitOf(unit, currency))
    if (column === undefined || others.length === 0) return []
    const written = `"${column.name}" has sums in ${others.slice(0, 3).join(', ')}`
    return [question('currency', `${written}, and sums are read in ${currency}: which is it?`)]
  })
  return [...cells, ...texts]
}
