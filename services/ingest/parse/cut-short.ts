/**
 * True for a number that a spreadsheet wrote in scientific notation, such as `4.60701E+14`: the digits that it stood for are
 * lost, so that as a number of a client or a receipt it names none.
 */
export function isCutShort(text: string): boolean {
  return text.includes('+') && /^\d([.,]\d+)?E\+\d+$/i.test(text)
}
