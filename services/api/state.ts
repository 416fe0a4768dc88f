import type { Context as HonoContext } from 'hono'
import { messageOf } from '#streams/core/error.ts'
import type { Logger } from '../platform/logging.ts'
import type { ApiDeps } from './ports.ts'
import { type Freshness, FreshnessReader } from './read-models/freshness.ts'
import { ProgrammeFollower } from './read-models/programme.ts'
import { asOfIso } from './views.ts'

/** What the routes share: the dependencies and what is kept current in the background. */
export interface ApiState {
  readonly deps: ApiDeps
  readonly programme: ProgrammeFollower
  readonly freshness: FreshnessReader
}

export function openState(deps: ApiDeps): ApiState {
  const { log, registry, topics, logger } = deps
  return {
    deps,
    programme: new ProgrammeFollower(log, registry, topics.control, warnOf(logger)),
    freshness: new FreshnessReader(deps.pool, log, topics, deps.clock),
  }
}

function warnOf(logger: Logger): (error: unknown) => void {
  return (error) => logger.warn({ error }, `control topic: ${messageOf(error)}`)
}

/**
 * Says in headers how fresh an answer is: the programme's date and the lag of the slowest of the projections named by
 * their beginning (`postgres`, `clickhouse`).
 */
export async function markFreshness(c: HonoContext, state: ApiState, store: 'postgres' | 'clickhouse'): Promise<void> {
  const asOf = asOfIso(state.programme.context)
  if (asOf !== null) c.header('loyalty-as-of', asOf)
  const slowest = slowestOf(await state.freshness.read(), store)
  if (slowest === null) return
  c.header('loyalty-lag-records', String(slowest.records))
  if (slowest.seconds !== null) c.header('loyalty-lag-seconds', slowest.seconds.toFixed(3))
}

function slowestOf(freshness: Freshness | null, store: string) {
  const lags = freshness?.projections.filter(({ name }) => name.startsWith(store)) ?? []
  return lags.length === 0 ? null : lags.reduce((slowest, lag) => (lag.records > slowest.records ? lag : slowest))
}

/** Names a store that does not answer in the headers. */
export function markDegraded(c: HonoContext, store: string): void {
  c.header('loyalty-degraded', store, { append: true })
}
