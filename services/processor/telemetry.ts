import type { RuntimeObserver, StepReport } from '#streams/core/observer.ts'
import type { Logger } from '../platform/logging.ts'
import type { Metrics } from '../platform/metrics.ts'

/** Turns what the runtime tells into metrics and log lines. `inputTopic` labels the records. */
export function observeRuntime(logger: Logger, metrics: Metrics, inputTopic: string): RuntimeObserver {
  const tellForwarded = forwardsTold(logger, metrics)
  return {
    stepped(report: StepReport) {
      metrics.records.inc({ topic: inputTopic }, report.records)
      metrics.batchRecords.observe({ kind: 'step' }, report.records)
      const { foldMs, evaluateMs, produceMs, commitMs, storeMs } = report
      metrics.stepSeconds.observe({ kind: 'step' }, (foldMs + evaluateMs + produceMs + commitMs + storeMs) / 1_000)
      for (const [kind, ms] of Object.entries({ foldMs, evaluateMs, produceMs, commitMs, storeMs }))
        metrics.stepSeconds.observe({ kind: kind.slice(0, -2) }, ms / 1_000)
      tellForwarded(report)
      logger.debug({ ...report }, 'step')
    },
    transition(partition, from, to) {
      logger.info({ partition, from, to }, 'task')
    },
    restoring(partition, what, done, total) {
      logger.info({ partition, what, done, total }, 'restoring')
    },
    deadLetter(partition, offset, reason, detail) {
      metrics.deadLetters.inc({ reason })
      logger.warn({ partition, offset, reason, detail }, 'dead letter')
    },
    warning(code, message, details) {
      logger.warn({ code, ...details }, message)
    },
    stopped(partition, code, message) {
      logger.error({ partition, code }, `task stopped: ${message}`)
    },
  }
}

/** A till that does not know better goes on like that for good: one line a minute says as much as one a step. */
const forwardsEveryMs = 60_000

function forwardsTold(logger: Logger, metrics: Metrics) {
  let [sum, dueAtMs] = [0, 0]
  return ({ partition, forwarded }: StepReport) => {
    if (forwarded === 0) return
    metrics.forwarded.inc(forwarded)
    sum += forwarded
    if (performance.now() < dueAtMs) return
    logger.warn({ partition, records: sum }, 'transactions came in a partition that their key does not belong to')
    sum = 0
    dueAtMs = performance.now() + forwardsEveryMs
  }
}
