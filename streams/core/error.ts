/**
 * The one error type of the product. `code` is stable and documented (docs/errors.md); callers branch on it, never on
 * the message. `retriable` says whether the same call may succeed later without anything being changed.
 */
export class LoyaltyError extends Error {
  readonly code: string
  readonly retriable: boolean
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: string,
    message: string,
    options: { retriable?: boolean; details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'LoyaltyError'
    this.code = code
    this.retriable = options.retriable ?? false
    this.details = options.details ?? {}
  }
}

/** True when `error` is a LoyaltyError with one of the given codes. */
export function hasCode(error: unknown, ...codes: string[]): error is LoyaltyError {
  return error instanceof LoyaltyError && codes.includes(error.code)
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
