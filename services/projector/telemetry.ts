import { Counter, Gauge } from 'prom-client'
import type { Metrics } from '../platform/metrics.ts'

/** Metrics of projections, beside those that every program has. `projection` ends in @next for a rebuild under way. */
export function projectorMetrics(metrics: Metrics, measure: () => Promise<void>) {
  const registers = [metrics.registry]
  return {
    lagRecords: new Gauge({
      name: 'loyalty_projection_lag_records',
      help: 'Committed records that a projection has not applied',
      labelNames: ['projection'],
      registers,
      // Asked for when scraped, so nothing is measured for nobody.
      collect: measure,
    }),
    lagSeconds: new Gauge({
      name: 'loyalty_projection_lag_seconds',
      help: 'Age of what a projection has not applied; 0 when it is level',
      labelNames: ['projection'],
      registers,
    }),
    rows: new Counter({
      name: 'loyalty_projection_rows_total',
      help: 'Rows written by a projection',
      labelNames: ['projection'],
      registers,
    }),
    differences: new Gauge({
      name: 'loyalty_projection_differences',
      help: 'Differences between views and facts found by the last reconciliation',
      labelNames: ['projection'],
      registers,
    }),
    duplicateRows: new Gauge({
      name: 'loyalty_projection_duplicate_rows',
      help: 'Rows above identities found by the last reconciliation; reads with FINAL are right all the same',
      labelNames: ['projection'],
      registers,
    }),
  }
}

export type ProjectorMetrics = ReturnType<typeof projectorMetrics>
