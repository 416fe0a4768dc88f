import { LoyaltyError } from '#streams/core/error.ts'

/**
 * What something outside of this program answers to `work`. What it throws is told as `unavailable` puts it; an error that has
 * a code already stays as it is.
 */
export async function asked<T>(unavailable: (cause: unknown) => LoyaltyError, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw cause instanceof LoyaltyError ? cause : unavailable(cause)
  }
}
