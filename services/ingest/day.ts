import type { ProgrammeConfigured } from '#schemas/events.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Clock } from '#streams/core/clock.ts'
import { Calendar } from '#streams/domain/calendar.ts'
import type { Log } from '#streams/log/log.ts'
import { untilProjected } from './completion.ts'
import type { Control, ControlState } from './control.ts'
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
  /** Resolves once every task has taken in what the control topic holds, and no sweep runs. */
  readonly settled: () => Promise<void>
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
  const { programme, newestDay } = turn
  const state = await control.read()
  const today = calendarOf(programme).dayOf(clock.nowMs())
  if (state.day === null || state.cutPoints === null) return beginProgramme(deps, turn, state, today)
  // By the system's clock days begin by themselves, and never because of a file.
  if (programme.clock === 'system' || newestDay === null) return
  await startDay(deps, programme, Math.min(newestDay, today))
}

/**
 * A programme's beginning: its transactions are taken in, cut-points are calibrated from what the projection then holds,
 * and the first day starts. Each part is skipped where a crash came after it, or a person was faster.
 */
async function beginProgramme(deps: DayDeps, turn: DayTurn, state: ControlState, today: number): Promise<void> {
  const { control, calibrator, log, topics, projections, clock, crash } = deps
  const { programme, signal } = turn
  const newest = turn.newestDay ?? (await newestAcceptedDay(deps))
  if (newest === null) return
  const own = programme.clock === 'system' ? today : Math.min(newest, today)
  const day = Math.max(own, state.day ?? own)
  if (state.cutPoints === null) {
    // A day that was started by hand hides what happened after it: it moves first, and the cut-points see everything.
    if (state.day !== null) {
      await startDay(deps, programme, day)
      await turn.settled()
    }
    await untilProjected(log, [topics.clientState], projections, { signal })
    const cutPoints = await calibrator.calibrate(day, programme.monetary_basis)
    // Without a buyer there is nothing to calibrate from: the programme begins with a later upload.
    if (cutPoints === null) return
    // A person was at it meanwhile: what was calibrated may not fit any more, or is not wanted.
    const meanwhile = await control.read()
    if (meanwhile.cutPoints !== null || meanwhile.day !== (state.day === null ? null : day)) return turnDay(deps, turn)
    await control.publish(['CutPointsPublished', { ...cutPoints, calibrated_as_of: day, published_at: clock.nowMs() }])
    crash('after-cut-points')
  }
  await startDay(deps, programme, day)
}

/**
 * Lets `day` begin where it is later than the one in force. By the system's clock the days between begin too, in order;
 * a programme's first day has none before it.
 */
async function startDay(deps: DayDeps, programme: ProgrammeConfigured, day: number): Promise<void> {
  const { control, clock, crash } = deps
  const inForce = (await control.read()).day
  if (inForce !== null && day <= inForce) return
  const between = programme.clock === 'system' && inForce !== null ? daysAfter(inForce, day - 1) : []
  await startDays(control, clock, [...between, day])
  crash('after-day')
}

/** Publishes days in the order given, so that the log tells of every one. */
export async function startDays(control: Control, clock: Clock, days: readonly number[]): Promise<void> {
  if (days.length === 0) return
  const startedAt = clock.nowMs()
  await control.publish(...days.map((date) => ['DayStarted', { date, started_at: startedAt }] as const))
}

/** The days after `day` up to and including `last`. */
export function daysAfter(day: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - day) }, (_, index) => day + 1 + index)
}

/** Newest day of all that was ever accepted; read only while a programme has not begun. */
async function newestAcceptedDay({ log, topics, registry }: DayDeps): Promise<number | null> {
  const from = await log.admin.startOffsets(topics.accepted)
  const to = await log.admin.endOffsets(topics.accepted)
  return newestDayBetween(log, topics.accepted, daysDecoder(registry), from, to)
}
