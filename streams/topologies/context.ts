import type { Decoded } from '#schemas/decoder.ts'
import type { ReclassificationCause } from '#schemas/events.ts'
import { type ActiveModel, type Context, type ControlEvent, evolve, initialContext } from '../domain/context.ts'
import type { ControlEvents } from './wire.ts'

/** Context of the loyalty topology: the domain's, what last changed it, and the models activated, newest first. */
export interface LoyaltyContext {
  readonly domain: Context
  readonly cause: ReclassificationCause
  readonly models: readonly ActiveModel[]
}

export const emptyContext: LoyaltyContext = { domain: initialContext(), cause: 'time', models: [] }

/**
 * Folds a decoded control event. A sweep is due when rows may differ under the new context: never before the first date,
 * because until then nothing depends on it.
 */
export function foldContext(context: LoyaltyContext, event: ControlEvent): { context: LoyaltyContext; sweep: boolean } {
  const domain = evolve(context.domain, event)
  if (domain === context.domain) return { context, sweep: false }
  const models = event.type === 'model_activated' ? [event.model, ...context.models] : context.models
  return { context: { domain, cause: causeOf(event), models }, sweep: domain.asOf.date !== null }
}

function causeOf(event: ControlEvent): ReclassificationCause {
  if (event.type === 'model_activated') return 'model'
  return event.type === 'cut_points_published' ? 'cut_points' : 'time'
}

/** The domain's view of a control event. */
export function controlEventOf(decoded: Extract<Decoded<ControlEvents>, { kind: 'ok' }>): ControlEvent {
  switch (decoded.name) {
    case 'ProgrammeConfigured': {
      const { event } = decoded
      return {
        type: 'programme_configured',
        programme: {
          programmeId: event.programme_id,
          currency: event.currency,
          timeZone: event.time_zone,
          offsets: event.offsets.map(({ from, offset_minutes }) => ({ fromMs: from, offsetMinutes: offset_minutes })),
          clock: event.clock,
          monetaryBasis: event.monetary_basis,
          partitions: event.partitions,
          ledgerCap: event.ledger_cap,
        },
      }
    }
    case 'DayStarted':
      return { type: 'day_started', day: decoded.event.date }
    case 'CutPointsPublished': {
      const { recency_days, frequency, monetary_minor, basis } = decoded.event
      const cutPoints = { recencyDays: recency_days, frequency, monetaryMinor: monetary_minor, basis }
      return { type: 'cut_points_published', cutPoints }
    }
    case 'ModelActivated': {
      const { model_id, model_version, sha256 } = decoded.event
      return { type: 'model_activated', model: { id: model_id, version: model_version, sha256 } }
    }
  }
}
