import { type DestinationStream, type Logger, pino } from 'pino'
import { LoyaltyError } from '#streams/core/error.ts'
import { currentTrace, startTrace } from './trace.ts'

export type { Logger } from 'pino'

/**
 * Logger of one program: a line of JSON each with `timestamp` (ISO 8601), `level` (its name), `service`, `message`,
 * `trace_id` and `correlation_id`: those of the current trace, or else those of the program's own, which is that of one
 * run from its start to its end. Lines go to standard output, or to `destination` in tests.
 */
export function createLogger(service: string, level: string, destination?: DestinationStream): Logger {
  const run = startTrace()
  const options = {
    level,
    base: { service },
    messageKey: 'message',
    errorKey: 'error',
    timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: describeError },
    mixin: () => {
      const { traceId, correlationId } = currentTrace() ?? run
      return { trace_id: traceId, correlation_id: correlationId }
    },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

/** An error as log fields; a LoyaltyError keeps its code and details. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const coded =
    error instanceof LoyaltyError ? { code: error.code, details: error.details, retriable: error.retriable } : {}
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) }
  return { type: error.name, message: error.message, ...coded, stack: error.stack, ...cause }
}
