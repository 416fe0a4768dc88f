import type { ProgrammeConfigured } from '#schemas/events.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Clock } from '#streams/core/clock.ts'
import { Calendar } from '#streams/domain/calendar.ts'
import type { Log } from '#streams/log/log.ts'
import { untilProjected } from './completion.ts'
import type { Control } from './control.ts'
import type { IngestCrashHook } from './crash.ts'
import { daysDecoder, newestDayBetween } from './newest-day.ts'
import type { Calibrator, ProjectionProgress } from './ports.ts'

/** The clock rule (architecture.md, D6): when the programme's day changes, and how a programme begins. */

export interface DayDeps {
  readonly log: Log
  readonly topics: Topics
  readonly registry: Registry
  readonly control: Control
  readonly projections: ProjectionProgress
  readonly calibrator: Calibrator
  readonly clock: Clock
  readonly crash: IngestCrashHook
}

export interface DayTurn {
  readonly programme: ProgrammeConfigured
  /** Newest day of what an upload added; null where it added nothing. */
  readonly newestDay: number | null
  readonly signal: AbortSignal
}

export function calendarOf(programme: ProgrammeConfigured): Calendar {
  return new Calendar(
    programme.offsets.map(({ from, offset_minutes }) => ({ fromMs: from, offsetMinutes: offset_minutes })),
  )
}

/** Applies the clock rule after an upload; publishes what follows from it, or nothing. */
export async function turnDay(deps: DayDeps, turn: DayTurn): Promise<void> {
  const { control, clock } = deps
  const { programme } = turn
  const today = calendarOf(programme).dayOf(clock.nowMs())
  const state = await control.read()
  if (state.day === null) return beginProgramme(deps, turn, today)
  // By the system's clock days begin by themselves, and never because of a file.
  if (programme.clock === 'system' || turn.newestDay === null) return
  const day = Math.min(turn.newestDay, today)
  if (day > state.day) await startDay(deps, day)
}

/**
 * A programme's beginning: its transactions are taken in, cut-points are calibrated from what the projection then holds,
 * and the first day starts. Each part is skipped where a crash came after it, or a person was faster.
 */
async function beginProgramme(deps: DayDeps, turn: DayTurn, today: number): Promise<void> {
  const { control, calibrator, log, topics, projections, clock, crash } = deps
  const { programme, signal } = turn
  const newest = turn.newestDay ?? (await newestAcceptedDay(deps))
  if (newest === null) return
  const day = programme.clock === 'system' ? today : Math.min(newest, today)
  if ((await control.read()).cutPoints === null) {
    await untilProjected(log, [topics.clientState], projections, { signal })
    const cutPoints = await calibrator.calibrate(day, programme.monetary_basis)
    // Without a buyer there is nothing to calibrate from: the programme begins with a later upload.
    if (cutPoints === null) return
    await control.publish(['CutPointsPublished', { ...cutPoints, calibrated_as_of: day, published_at: clock.nowMs() }])
    crash('after-cut-points')
  }
  await startDay(deps, day)
}

async function startDay({ control, clock, crash }: DayDeps, day: number): Promise<void> {
  await control.publish(['DayStarted', { date: day, started_at: clock.nowMs() }])
  crash('after-day')
}

/** Newest day of all that was ever accepted; read only while a programme has not begun. */
async function newestAcceptedDay({ log, topics, registry }: DayDeps): Promise<number | null> {
  const from = await log.admin.startOffsets(topics.accepted)
  const to = await log.admin.endOffsets(topics.accepted)
  return newestDayBetween(log, topics.accepted, daysDecoder(registry), from, to)
}
