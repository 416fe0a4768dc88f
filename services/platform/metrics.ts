import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const countBuckets = [1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000]

/**
 * The metrics of one program, in a registry of its own. Every program has the same set, so that a dashboard needs no list
 * of who measures what; what a program does not do stays without samples. `topic` names the topic read, `partition` is a
 * number, `reason` one of the dead-letter reasons. `ofProcess: false` leaves out what is measured of the whole process, for
 * a part of it that has metrics of its own.
 */
export function createMetrics(service: string, options: { readonly ofProcess: boolean } = { ofProcess: true }) {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  if (options.ofProcess) collectDefaultMetrics({ register: registry })
  const registers = [registry]
  return {
    registry,
    records: new Counter({
      name: 'loyalty_records_total',
      help: 'Records read from a topic and settled',
      labelNames: ['topic'],
      registers,
    }),
    // While a partition goes from one part of a process to another, both may speak of it for a moment.
    lagRecords: new Gauge({
      name: 'loyalty_lag_records',
      help: 'Committed records of a topic that are not yet settled',
      labelNames: ['topic', 'partition'],
      aggregator: 'max',
      registers,
    }),
    lagSeconds: new Gauge({
      name: 'loyalty_lag_seconds',
      help: 'Age of the oldest record not yet settled; 0 when there is none',
      labelNames: ['topic', 'partition'],
      aggregator: 'max',
      registers,
    }),
    stepSeconds: new Histogram({
      name: 'loyalty_step_seconds',
      help: 'Time of one step or batch, from the first record to the commit',
      labelNames: ['kind'],
      buckets: secondsBuckets,
      registers,
    }),
    batchRecords: new Histogram({
      name: 'loyalty_batch_records',
      help: 'Records in one step or batch',
      labelNames: ['kind'],
      buckets: countBuckets,
      registers,
    }),
    deadLetters: new Counter({
      name: 'loyalty_dead_letters_total',
      help: 'Records sent to dead letters',
      labelNames: ['reason'],
      registers,
    }),
    forwarded: new Counter({
      name: 'loyalty_forwarded_total',
      help: 'Transactions passed on to the partition that their key belongs to',
      registers,
    }),
    rejected: new Counter({
      name: 'loyalty_rejected_total',
      help: 'Transactions refused at a door, before the log, by code',
      labelNames: ['code'],
      registers,
    }),
    classifierRows: new Counter({ name: 'loyalty_classifier_rows_total', help: 'Clients classified', registers }),
    classifierSeconds: new Histogram({
      name: 'loyalty_classifier_seconds',
      help: 'Time of one classifier batch',
      buckets: secondsBuckets,
      registers,
    }),
    httpRequests: new Counter({
      name: 'http_requests_total',
      help: 'HTTP requests answered',
      labelNames: ['method', 'route', 'status'],
      registers,
    }),
    httpSeconds: new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time to the end of the HTTP handler',
      labelNames: ['method', 'route'],
      buckets: secondsBuckets,
      registers,
    }),
    httpErrors: new Counter({
      name: 'api_errors_total',
      help: 'HTTP answers of status 400 and above, by stable error code',
      labelNames: ['code'],
      registers,
    }),
  }
}

export type Metrics = ReturnType<typeof createMetrics>

/** What a registry holds, as plain data that passes between threads. */
export type MetricSamples = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/**
 * The exposition of all parts of a process: counters and histograms are summed, gauges as they say. The parts are created
 * by `createMetrics`, one of them with what is measured of the process.
 */
export function expositionOf(parts: readonly MetricSamples[]): Promise<string> {
  // Of each of these metrics there is one; some are meant to be left out where several processes are put together.
  const kept = parts.map((samples) =>
    samples.map((metric) => (isOmitted(metric.aggregator) ? { ...metric, aggregator: 'first' } : metric)),
  )
  return AggregatorRegistry.aggregate(kept).metrics()
}

function isOmitted(aggregator: string): boolean {
  return aggregator === 'omit'
}
