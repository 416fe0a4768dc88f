import { LoyaltyError } from '#streams/core/error.ts'

/** A workbook that is none, or damaged. `part` is the file inside it, where one is to blame. */
export function unreadable(why: string, details: Readonly<Record<string, string | number>> = {}): LoyaltyError {
  return new LoyaltyError(
    'workbook_unreadable',
    `the workbook cannot be read: ${why}; open it in a spreadsheet program, save it anew and send that`,
    { details },
  )
}
