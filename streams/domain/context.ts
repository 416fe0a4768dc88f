import { Calendar, type ZoneOffset } from './calendar.ts'
import type { CutPoints, MonetaryBasis } from './scoring.ts'

/** Settings of a programme, fixed for ever by its first control event. */
export interface Programme {
  readonly programmeId: string
  readonly currency: string
  /** IANA name, for display only: days come from `offsets`. */
  readonly timeZone: string
  readonly offsets: readonly ZoneOffset[]
  readonly clock: 'system' | 'events'
  readonly monetaryBasis: MonetaryBasis
  readonly partitions: number
  readonly ledgerCap: number
}

export interface ActiveModel {
  readonly id: string
  readonly version: string
  readonly sha256: string
}

/** Control events as the domain sees them. */
export type ControlEvent =
  | { readonly type: 'programme_configured'; readonly programme: Programme }
  | { readonly type: 'day_started'; readonly day: number }
  | { readonly type: 'cut_points_published'; readonly cutPoints: CutPoints }
  | { readonly type: 'model_activated'; readonly model: ActiveModel }

/** Instants between which entries count: below `endMs`, and in the last n days from `from…Ms` on. */
export interface AsOf {
  /** Day number, or null before the first date. */
  readonly date: number | null
  readonly endMs: number
  readonly from30Ms: number
  readonly from90Ms: number
  readonly from365Ms: number
}

/** All that `evaluate` knows besides the ledger. Immutable: a change makes a new one. */
export interface Context {
  /** Null until the programme is configured; until then no transaction is read. */
  readonly programme: Programme | null
  readonly calendar: Calendar
  readonly asOf: AsOf
  readonly cutPoints: CutPoints | null
  readonly model: ActiveModel | null
}

/** Before the first date: every entry counts, no window has begun. */
export const beforeTheFirstDate: AsOf = {
  date: null,
  endMs: Number.POSITIVE_INFINITY,
  from30Ms: Number.POSITIVE_INFINITY,
  from90Ms: Number.POSITIVE_INFINITY,
  from365Ms: Number.POSITIVE_INFINITY,
}

/** The end of `date` and the beginnings of the windows that end with it. */
export function asOf(calendar: Calendar, date: number): AsOf {
  return {
    date,
    endMs: calendar.startOf(date + 1),
    from30Ms: calendar.startOf(date - 29),
    from90Ms: calendar.startOf(date - 89),
    from365Ms: calendar.startOf(date - 364),
  }
}

export function initialContext(): Context {
  return { programme: null, calendar: new Calendar([]), asOf: beforeTheFirstDate, cutPoints: null, model: null }
}

/**
 * The context after an event. Answers the very same object where nothing changes – an older or equal date, a second
 * configuration, the cut-points or the model in force – so that no sweep starts for nothing.
 */
export function evolve(context: Context, event: ControlEvent): Context {
  switch (event.type) {
    case 'programme_configured':
      return context.programme === null ? configured(context, event.programme) : context
    case 'day_started':
      return event.day <= (context.asOf.date ?? Number.NEGATIVE_INFINITY) ? context : contextAt(context, event.day)
    case 'cut_points_published':
      return sameCutPoints(context.cutPoints, event.cutPoints) ? context : { ...context, cutPoints: event.cutPoints }
    case 'model_activated':
      return sameModel(context.model, event.model) ? context : { ...context, model: event.model }
  }
}

function configured(context: Context, programme: Programme): Context {
  const calendar = new Calendar(programme.offsets)
  const { date } = context.asOf
  return { ...context, programme, calendar, asOf: date === null ? beforeTheFirstDate : asOf(calendar, date) }
}

/** The same context as of another date, for point-in-time exports. */
export function contextAt(context: Context, date: number): Context {
  return { ...context, asOf: asOf(context.calendar, date) }
}

function sameModel(a: ActiveModel | null, b: ActiveModel): boolean {
  return a !== null && a.id === b.id && a.version === b.version && a.sha256 === b.sha256
}

function sameCutPoints(a: CutPoints | null, b: CutPoints): boolean {
  return (
    a !== null &&
    a.basis === b.basis &&
    sameNumbers(a.recencyDays, b.recencyDays) &&
    sameNumbers(a.frequency, b.frequency) &&
    sameNumbers(a.monetaryMinor, b.monetaryMinor)
  )
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}
