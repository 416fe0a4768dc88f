import { describe, expect, it } from 'vitest'
import { createLogger } from '#services/platform/logging.ts'
import { startTrace, traceparentOf, withTrace } from '#services/platform/trace.ts'
import { LoyaltyError } from '#streams/core/error.ts'

function capture() {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger('api', 'debug', { write: (line: string) => void lines.push(JSON.parse(line)) })
  return { logger, lines }
}

describe('log lines', () => {
  it('carry timestamp, level by name, service and message', () => {
    const { logger, lines } = capture()
    logger.warn({ partition: 3 }, 'slow')
    expect(lines[0]).toMatchObject({ level: 'warn', service: 'api', message: 'slow', partition: 3 })
    expect(lines[0]!.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  it('carry the ids of the trace they are written in, also after an await', async () => {
    const { logger, lines } = capture()
    const trace = startTrace(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, 'order-7')
    await withTrace(trace, async () => {
      await Promise.resolve()
      logger.info('inside')
    })
    logger.info('outside')
    expect(lines[0]).toMatchObject({ trace_id: 'a'.repeat(32), correlation_id: 'order-7' })
    expect(lines[1]).not.toMatchObject({ trace_id: 'a'.repeat(32) })
  })

  it('outside of any trace carry the ids of the run of their program', () => {
    const [one, other] = [capture(), capture()]
    one.logger.info('started')
    one.logger.child({ partition: 3 }).info('task')
    other.logger.info('started')
    const ids = [...one.lines, ...other.lines].map(({ trace_id }) => trace_id)
    expect(ids[0]).toMatch(/^(?!0{32})[0-9a-f]{32}$/)
    expect(ids[1]).toBe(ids[0])
    expect(ids[2]).not.toBe(ids[0])
    expect(one.lines.map(({ correlation_id }) => correlation_id)).toEqual([ids[0], ids[0]])
  })

  it('tell the code, details and cause of an error', () => {
    const { logger, lines } = capture()
    const cause = new Error('connection refused')
    logger.error(
      { error: new LoyaltyError('log_unavailable', 'no log', { details: { broker: 'a:1' }, cause }) },
      'poll',
    )
    expect(lines[0]!.error).toMatchObject({
      code: 'log_unavailable',
      details: { broker: 'a:1' },
      cause: { message: 'connection refused' },
    })
  })
})

describe('a trace', () => {
  it.each([undefined, '', 'nonsense', `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`])('starts anew from %s', (header) => {
    expect(startTrace(header).traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/)
  })

  it('is handed on under a span of its own', () => {
    const trace = startTrace(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)
    expect(traceparentOf(trace)).toMatch(/^00-a{32}-[0-9a-f]{16}-01$/)
    expect(trace.spanId).not.toBe('b'.repeat(16))
    expect(trace.correlationId).toBe(trace.traceId)
  })
})
