import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'

/** What ties the log lines of one request or task together, across programs. */
export interface Trace {
  /** 32 hex digits (W3C trace context). */
  readonly traceId: string
  /** 16 hex digits: this program's part of the trace. */
  readonly spanId: string
  /** What the caller calls the matter (a task, an order); the trace id where nothing was said. */
  readonly correlationId: string
}

const storage = new AsyncLocalStorage<Trace>()

export function currentTrace(): Trace | undefined {
  return storage.getStore()
}

/** Runs `work` under a trace: log lines written inside carry its ids. */
export function withTrace<Result>(trace: Trace, work: () => Result): Result {
  return storage.run(trace, work)
}

const traceparentPattern = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/

/** Continues the trace of a `traceparent` header, or starts a new one where it is absent or malformed. */
export function startTrace(traceparent?: string, correlationId?: string): Trace {
  const given = traceparentPattern.exec(traceparent ?? '')?.[1]
  const traceId = given !== undefined && !/^0+$/.test(given) ? given : randomBytes(16).toString('hex')
  return { traceId, spanId: randomBytes(8).toString('hex'), correlationId: correlationId || traceId }
}

export function traceparentOf(trace: Trace): string {
  return `00-${trace.traceId}-${trace.spanId}-01`
}
