import { LoyaltyError } from '#streams/core/error.ts'

/** Nothing can be taken in from a file with `nothing` in it, or nothing but a `header`. */
export function fileEmpty(holds: 'nothing' | 'header'): LoyaltyError {
  return new LoyaltyError(
    'file_empty',
    holds === 'nothing'
      ? 'the file has no rows; export it again with its transactions'
      : 'the file has a header and no rows below it; export it again with its transactions',
  )
}
