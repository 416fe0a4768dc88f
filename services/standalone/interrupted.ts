import { LoyaltyError } from '#streams/core/error.ts'

/** What a start ends with that was asked to stop before it was over. */
export function interrupted(): LoyaltyError {
  return new LoyaltyError('interrupted', 'the platform was asked to stop before it served; what had started has ended')
}

/**
 * Result of one part of a start. A part that `signal` finds under way may still come to its end within `graceMs`; after
 * that it is left to itself. None begins once the signal was given.
 *
 * Errors: `interrupted` where the signal was given, whatever the part came to; else those of the part.
 */
export async function unlessInterrupted<Result>(
  signal: AbortSignal | undefined,
  graceMs: number,
  part: () => Promise<Result>,
): Promise<Result> {
  if (signal === undefined) return part()
  if (signal.aborted) throw interrupted()
  let timer: NodeJS.Timeout | undefined
  let giveUp = () => {}
  const waited = new Promise<never>((_, reject) => {
    giveUp = () => {
      timer = setTimeout(() => reject(interrupted()), graceMs)
    }
    signal.addEventListener('abort', giveUp, { once: true })
  })
  try {
    const result = await Promise.race([part(), waited])
    if (signal.aborted) throw interrupted()
    return result
  } catch (error) {
    throw signal.aborted ? interrupted() : error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', giveUp)
  }
}
