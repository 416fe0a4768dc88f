import { LoyaltyError, messageOf } from '../../core/error.ts'

/** SQLSTATE classes and codes after which the same call may succeed: the server or a lock was not to be had. */
const passing = /^(08|53|57P0[1-5]|55P03|40001|40P01|25P0[34]|57014)/

/** SQLSTATE of a database error, or undefined for anything else. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** True when the statement was answered with an error, so that the connection and the transaction's fate are known. */
export function wasRefused(error: unknown): boolean {
  const state = sqlState(error)
  return state !== undefined && !/^(08|57P0[1-5]|XX)/.test(state)
}

export function topicMissing(topic: string, partition?: number): LoyaltyError {
  return partition === undefined
    ? new LoyaltyError('log_topic_missing', `topic ${topic} does not exist; create the topics first`, {
        details: { topic },
      })
    : new LoyaltyError('log_topic_missing', `topic ${topic} has no partition ${partition}`, {
        details: { topic, partition },
      })
}

export function fenced(transactionalId: string): LoyaltyError {
  return new LoyaltyError('log_fenced', `another writer with transactional id ${transactionalId} took over`, {
    details: { transactionalId },
  })
}

/** Any failure of the driver as the port's error: `log_unavailable` where it may pass, `log_failed` otherwise. */
export function asLogError(error: unknown, doing: string): LoyaltyError {
  if (error instanceof LoyaltyError) return error
  const state = sqlState(error)
  if (state === undefined || passing.test(state))
    return new LoyaltyError(
      'log_unavailable',
      `the Postgres log could not be reached (${doing}): ${messageOf(error)}`,
      {
        retriable: true,
        cause: error,
      },
    )
  return new LoyaltyError('log_failed', `the Postgres log refused to work (${doing}): ${messageOf(error)}`, {
    details: { sqlState: state },
    cause: error,
  })
}
