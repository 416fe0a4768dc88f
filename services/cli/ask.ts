import { LoyaltyError, messageOf } from '#streams/core/error.ts'

interface Failure {
  readonly code?: string
  readonly message?: string
  readonly details?: Record<string, unknown>
}

/**
 * Asks a program of the platform and answers its JSON. An error answer becomes its LoyaltyError again; `api_unavailable`
 * (retriable) where nobody answers, `api_failed` where the answer has no code.
 */
export async function ask<Answer>(url: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url, init).catch((cause) => {
    throw new LoyaltyError('api_unavailable', `the platform does not answer at ${url}: ${messageOf(cause)}`, {
      retriable: true,
      cause,
    })
  })
  const body = (await response.json()) as Answer & Failure
  if (response.ok) return body
  throw new LoyaltyError(body.code ?? 'api_failed', body.message ?? `${url} answers ${response.status}`, {
    retriable: response.status === 503,
    details: body.details ?? {},
  })
}
