import { LoyaltyError, messageOf } from '../../core/error.ts'

/** Kafka's own name of the error (`NOT_LEADER_FOR_PARTITION`), or undefined where the answer never came. */
export function kafkaErrorOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('type' in error)) return undefined
  if (typeof error.type !== 'string') return undefined
  // kafkajs 2.2.4 has no name for error 90.
  if (error.type === 'KAFKAJS_UNKNOWN_ERROR_CODE')
    return messageOf(error).endsWith(' 90') ? 'PRODUCER_FENCED' : 'UNKNOWN'
  return error.type
}

/** The connection was lost or refused, or the answer did not come in time. */
export function isConnectionFailure(error: unknown): boolean {
  return kafkaErrorOf(error) === undefined && !(error instanceof LoyaltyError)
}

/** The broker asked does not lead the partition (any more), or has not heard of it yet: ask for metadata, try again. */
const staleMetadata = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REPLICA_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'KAFKA_STORAGE_ERROR',
  'OFFSET_NOT_AVAILABLE',
])

export function isStaleMetadata(error: unknown): boolean {
  return staleMetadata.has(kafkaErrorOf(error) ?? '')
}

/** The coordinator has moved, or is not ready: find it again, try again. */
const coordinatorMoved = new Set([
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
])

export function isCoordinatorMoved(error: unknown): boolean {
  return coordinatorMoved.has(kafkaErrorOf(error) ?? '')
}

/** The request was refused without effect and may simply be sent again after a while. */
export function isRefusedForNow(error: unknown): boolean {
  const type = kafkaErrorOf(error)
  return (
    isCoordinatorMoved(error) ||
    isStaleMetadata(error) ||
    type === 'CONCURRENT_TRANSACTIONS' ||
    type === 'NOT_ENOUGH_REPLICAS' ||
    type === 'NOT_CONTROLLER'
  )
}

/** A newer producer with the same transactional id took over, or the coordinator ended the transaction by itself. */
export function isFenced(error: unknown): boolean {
  const type = kafkaErrorOf(error)
  return type === 'INVALID_PRODUCER_EPOCH' || type === 'PRODUCER_FENCED' || type === 'INVALID_PRODUCER_ID_MAPPING'
}

export function unavailable(what: string, cause: unknown): LoyaltyError {
  return new LoyaltyError('log_unavailable', `Kafka could not ${what}: ${messageOf(cause)}`, { retriable: true, cause })
}

export function topicMissing(topic: string): LoyaltyError {
  return new LoyaltyError('log_topic_missing', `topic ${topic} does not exist; create it with \`loyalty topics\``, {
    details: { topic },
  })
}
