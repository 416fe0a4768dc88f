import { LoyaltyError, messageOf } from './error.ts'

/** An error, taken apart to pass between threads. */
export interface Fault {
  readonly code: string
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
  readonly retriable: boolean
}

/** `code` is that of a fault which has none of its own. */
export function faultOf(error: unknown, code: string): Fault {
  if (!(error instanceof LoyaltyError)) return { code, message: messageOf(error), details: {}, retriable: false }
  const { message, details, retriable } = error
  return { code: error.code, message, details, retriable }
}

/** The error again, on the other side; its stack and cause stay behind. */
export function errorOf({ code, message, details, retriable }: Fault): LoyaltyError {
  return new LoyaltyError(code, message, { details: { ...details }, retriable })
}
