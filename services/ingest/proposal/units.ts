import { isUnitOf } from '../parse/currency.ts'
import type { ColumnSeen } from './column.ts'
import { type Question, question } from './question.ts'
import type { Sample } from './sample.ts'

/** Questions about sums that the cells of a workbook show in another currency than they are read in, or in hundredths. */
export function shownOtherwise(
  { input }: Sample,
  sums: readonly (ColumnSeen | undefined)[],
  currency: string,
): Question[] {
  return (input.sheet?.units ?? []).flatMap(({ column, unit }) => {
    const name = sums.find((each) => each?.index === column)?.name
    if (name === undefined || isUnitOf(unit, currency)) return []
    const shown = `the cells of "${name}" are shown in ${unit}`
    if (unit === '%') return [question('columns.amount', `${shown}: are they sums?`)]
    return [question('currency', `${shown}, and sums are read in ${currency}: which is it?`)]
  })
}
