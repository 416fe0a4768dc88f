import { setTimeout as delay } from 'node:timers/promises'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { systemHeader } from '../ingest/tills/principal.ts'

/** What became of a batch that was sent: everything in it is in the log, or refused for good. */
export interface Delivery {
  readonly accepted: number
  readonly rejected: number
  /** How many were refused, by code. */
  readonly codes: Readonly<Record<string, number>>
}

export interface TillClientOptions {
  /** Base address of the API or of ingestion. */
  readonly url: string
  /** The system that transactions are of. */
  readonly system: string
  /** How long nobody may answer before it is given up; default a minute. */
  readonly patienceMs?: number | undefined
  readonly signal: AbortSignal
}

interface Answer {
  readonly accepted: number
  readonly rejected: number
  readonly results: readonly { readonly status: string; readonly code?: string }[]
}

interface Failure {
  readonly code?: string
  readonly message?: string
  readonly details?: Partial<Answer>
}

const answerWithinMs = 60_000
const firstPauseMs = 100
const longestPauseMs = 2_000

/**
 * Sends transactions to POST /api/v1/transactions as a till that loses none: what got no answer, or one that may pass, is
 * sent again, and 429 is waited out as long as it says. Repetitions do no harm, by the rule of that door.
 */
export class TillClient {
  readonly #options: TillClientOptions
  /** Batches that were sent again, for whatever reason. */
  retries = 0
  /** True once anybody was there. */
  #reached = false
  #answeredMs = performance.now()

  constructor(options: TillClientOptions) {
    this.#options = options
  }

  /**
   * Resolves when every item has its verdict. Errors: `api_unavailable` where nobody has answered for long, and at once where
   * nobody was ever reached; `interrupted` where `signal` was aborted and this may or may not be in the log, the code of an answer that sending again cannot mend.
   */
  send(items: readonly unknown[]): Promise<Delivery> {
    return this.sendBody(JSON.stringify(items))
  }

  /** As `send`, of a JSON array that is there as text. */
  async sendBody(body: string | Uint8Array<ArrayBuffer>): Promise<Delivery> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const outcome = await this.#post(body)
      if ('accepted' in outcome) return outcome
      const { patienceMs = 60_000, url, signal } = this.#options
      if (outcome.afterMs !== null) this.#answeredMs = performance.now()
      else if (performance.now() - this.#answeredMs > patienceMs)
        throw new LoyaltyError(
          'api_unavailable',
          `nobody has taken transactions at ${url} for ${Math.round(patienceMs / 1_000)} s: ${outcome.why}`,
          { retriable: true },
        )
      await delay(outcome.afterMs ?? pauseMs, undefined, { signal }).catch(() => {})
      if (signal.aborted)
        throw new LoyaltyError('interrupted', 'some transactions got no answer; sending all of them again is safe')
      this.retries++
    }
  }

  /** `afterMs`: when to send it again, where the answer says so. */
  async #post(
    body: string | Uint8Array<ArrayBuffer>,
  ): Promise<Delivery | { readonly why: string; readonly afterMs: number | null }> {
    const { url, system } = this.#options
    let response: Response
    let answer: Answer & Failure
    try {
      response = await fetch(`${url}/api/v1/transactions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', [systemHeader]: system },
        body,
        signal: AbortSignal.timeout(answerWithinMs),
      })
      answer = (await response.json()) as Answer & Failure
    } catch (error) {
      if (!this.#reached && isUnreachable(error)) throw unreachable(url, error)
      this.#reached = true
      return { why: messageOf(error), afterMs: null }
    }
    this.#reached = true
    const { status } = response
    if (status === 202) {
      this.#answeredMs = performance.now()
      return deliveryOf(answer)
    }
    if (answer.code === 'nothing_accepted' && answer.details?.results !== undefined)
      return deliveryOf(answer.details as Answer)
    if (status === 429) return { why: answer.message ?? '', afterMs: retryAfterMs(response) }
    if (status === 408 || status >= 500) return { why: answer.message ?? `status ${status}`, afterMs: null }
    throw new LoyaltyError(answer.code ?? 'api_failed', answer.message ?? `${url} answers ${status}`, {
      details: { ...answer.details },
    })
  }
}

const unreachableCodes = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/

function isUnreachable(error: unknown): boolean {
  return unreachableCodes.test(connectFault(error))
}

/** Code of what `fetch` met below HTTP. */
function connectFault(error: unknown): string {
  return String((error as { readonly cause?: { readonly code?: unknown } }).cause?.code)
}

function unreachable(url: string, cause: unknown): LoyaltyError {
  const message = `nobody can be reached at ${url} (${connectFault(cause)}); nothing was sent`
  return new LoyaltyError('api_unavailable', message, { retriable: true, cause })
}

/** Seconds or a date (RFC 9110, 10.2.3), at most a minute; one second where there is none. */
function retryAfterMs({ headers }: Response): number {
  const given = headers.get('retry-after') ?? ''
  const ms = /^\d+$/.test(given) ? Number(given) * 1_000 : Date.parse(given) - Date.now()
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 60_000) : 1_000
}

function deliveryOf({ accepted, rejected, results }: Answer): Delivery {
  const codes: Record<string, number> = {}
  if (rejected > 0) for (const { code } of results) if (code !== undefined) codes[code] = (codes[code] ?? 0) + 1
  return { accepted, rejected, codes }
}
