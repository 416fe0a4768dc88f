import { setTimeout as delay } from 'node:timers/promises'
import { LoyaltyError } from '#streams/core/error.ts'
import { ask } from './ask.ts'

const pollMs = 150
/** A program that crashed is back well within this. */
const patienceMs = 60_000

/**
 * Asks `url` again and again until `ended` makes an outcome of the answer; undefined goes on. A program that is away is
 * waited for, up to a minute. Errors: those of `ended` and of the program; `interrupted` (what was started goes on).
 */
export async function follow<Answer, Outcome>(
  url: string,
  ended: (answer: Answer) => Outcome | undefined,
  signal: AbortSignal,
): Promise<Outcome> {
  for (let lastAnswerMs = performance.now(); ; ) {
    if (signal.aborted)
      throw new LoyaltyError('interrupted', `not waiting any longer; the work goes on, see ${url}`, {
        details: { url },
      })
    const answer = await ask<Answer>(url).catch((error: unknown) => {
      const passing = error instanceof LoyaltyError ? error.retriable : true
      if (!passing || performance.now() - lastAnswerMs > patienceMs) throw error
      return null
    })
    if (answer !== null) {
      lastAnswerMs = performance.now()
      const outcome = ended(answer)
      if (outcome !== undefined) return outcome
    }
    await delay(pollMs)
  }
}
