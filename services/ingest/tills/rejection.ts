/**
 * Why a transaction is refused at the door. `invalid`, `wrong_currency` and `too_large` are words of the stream, which
 * would make a dead letter of it for the same reason.
 */
export const rejectionCodes = [
  'bad_json',
  'bad_event',
  'missing_field',
  'unknown_field',
  'bad_field',
  'unknown_kind',
  'bad_date',
  'bad_amount',
  'missing_id',
  'ambiguous_id',
  'ambiguous_original',
  'invalid',
  'wrong_currency',
  'too_large',
] as const

export interface Rejection {
  readonly code: (typeof rejectionCodes)[number]
  /** Field at fault, with a path into lists (`lines.0.sku`); null where it is no single one. */
  readonly field: string | null
  readonly message: string
}

/** Stands for an item that is refused before anybody looks at its fields. */
export class RefusedItem {
  readonly rejection: Rejection

  constructor(rejection: Rejection) {
    this.rejection = rejection
  }
}
