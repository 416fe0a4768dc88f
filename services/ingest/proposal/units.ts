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
    if (name === undefined || isOwnUnit(unit, currency)) return []
    const shown = `the cells of "${name}" are shown in ${unit}`
    if (unit === '%') return [question('columns.amount', `${shown}: are they sums?`)]
    return [question('currency', `${shown}, and sums are read in ${currency}: which is it?`)]
  })
}

/** Abbreviations that no data about languages has. */
const abbreviations: Readonly<Record<string, RegExp>> = {
  RUB: /^р(уб|\.)/i,
  BYN: /^р(уб|\.)/i,
  UAH: /^грн/i,
  KZT: /^тг/i,
}

function isOwnUnit(unit: string, currency: string): boolean {
  if (unit.toUpperCase() === currency || abbreviations[currency]?.test(unit)) return true
  return ['en', 'ru'].some((language) =>
    new Intl.NumberFormat(language, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' })
      .formatToParts(1)
      .some(({ type, value }) => type === 'currency' && value === unit),
  )
}
