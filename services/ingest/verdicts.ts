/** What became of a row: accepted, or one of these reasons. */

/**
 * Reasons by the unit in which they are counted: a fault of one row, or of the receipt that rows were grouped to. The
 * report counts reasons in their unit, and rows beside it, so that rows always sum to the lines of the file.
 */
export const reasons = {
  missing_client: 'row',
  bad_client_id: 'row',
  missing_receipt: 'row',
  missing_field: 'row',
  bad_amount: 'row',
  bad_date: 'row',
  wrong_currency: 'row',
  unknown_kind: 'row',
  too_long: 'row',
  bad_row: 'row',
  duplicate_row: 'row',
  zero_amount: 'receipt',
  negative_amount: 'receipt',
  amount_out_of_range: 'receipt',
  client_mismatch: 'receipt',
  incomplete_receipt: 'receipt',
  too_large: 'receipt',
  conflict: 'receipt',
} as const satisfies Record<string, 'row' | 'receipt'>

export type Reason = keyof typeof reasons

/** What each reason means to the person who sent the file. */
export const reasonTexts: Readonly<Record<Reason, string>> = {
  missing_client: 'the row names no client',
  bad_client_id: 'the client id is not written as the profile says, or is longer than 256 bytes',
  missing_receipt: 'the row lacks a part of what identifies its receipt',
  missing_field: 'a field is empty that the profile asks for',
  bad_amount: 'the amount, price or quantity is missing or no exact decimal number',
  bad_date: 'the date is missing, has none of the formats of the profile, or is no date',
  wrong_currency: 'the row is in another currency than the programme',
  unknown_kind: 'the kind of the transaction is none that the profile knows',
  too_long: 'a text is longer than allowed (256 bytes, a description 2,000 characters)',
  bad_row: 'the row has fewer columns than the profile reads',
  duplicate_row: 'an earlier row of the file is equal in every column that is read, and the profile drops such rows',
  zero_amount: 'the receipt comes to nothing',
  negative_amount: 'the sum of the receipt has the sign of another kind of receipt',
  amount_out_of_range: 'the sum of the receipt is too large to be exact',
  client_mismatch: 'rows of one receipt name different clients or kinds',
  incomplete_receipt: 'another row of the same receipt was rejected',
  too_large: 'the receipt has more lines than fit into an event of 256 KiB',
  conflict: 'the receipt came before with other content, which stays (loyalty uploads replace puts this one in force)',
}

export interface Tally {
  /** Count by reason, in the reason's unit. */
  readonly rejected: Partial<Record<Reason, number>>
  /** Rows rejected, for whatever reason. */
  rejectedRows: number
  acceptedRows: number
}

export function emptyTally(): Tally {
  return { rejected: {}, rejectedRows: 0, acceptedRows: 0 }
}

export function reject(tally: Tally, reason: Reason, rows: number): void {
  tally.rejected[reason] = (tally.rejected[reason] ?? 0) + (reasons[reason] === 'row' ? rows : 1)
  tally.rejectedRows += rows
}

export function addTally(into: Tally, other: Tally): void {
  for (const [reason, count] of Object.entries(other.rejected) as [Reason, number][])
    into.rejected[reason] = (into.rejected[reason] ?? 0) + count
  into.rejectedRows += other.rejectedRows
  into.acceptedRows += other.acceptedRows
}
