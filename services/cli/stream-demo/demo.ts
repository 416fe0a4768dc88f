import { setTimeout as delay } from 'node:timers/promises'
import type { ProgrammeConfigured } from '#schemas/events.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { dayOfIso, isoOfDay } from '#streams/domain/calendar.ts'
import { recordEnds } from '../../ingest/completion.ts'
import { Control } from '../../ingest/control.ts'
import { calendarOf } from '../../ingest/day.ts'
import type { FileProfile } from '../../ingest/profile.ts'
import type { CliContext } from '../context.ts'
import type { Session } from '../session.ts'
import { TillClient } from '../till-client.ts'
import { ReceiptDays } from './days.ts'
import { type ReplayMarker, readMarker, sha256Of, writeMarker } from './marker.ts'
import { type DayOutcome, Replay } from './replay.ts'

export interface DemoOptions {
  readonly context: CliContext
  readonly session: Session
  readonly file: string
  readonly profile: FileProfile
  readonly daysPerSecond: number
  /** Only so many from the first; default all. */
  readonly days: number | undefined
  /** Days before cut-points are calibrated; default a quarter of the days. */
  readonly calibrateAfter: number | undefined
  /** Hears of each day when it is over, with its number from 1 and the number of days. */
  readonly onDay: (outcome: DayOutcome, number: number, of: number) => void
}

export interface DemoReport {
  /** Days that were replayed this time. */
  readonly days: number
  readonly transactions: number
  readonly seconds: number
  readonly as_of: string
  /** Null while there are no cut-points. */
  readonly calibrated_as_of: string | null
  readonly buyers: number
  readonly segments: Readonly<Record<string, number>>
}

/**
 * Replays a file of receipts day by day into a programme of its own, or goes on with such a replay.
 *
 * Errors: `programme_begun`, `programme_unfit`, `programme_missing`; those of reading the file and of `Replay.day`;
 * `interrupted`: the same call goes on.
 */
export async function streamDemo(options: DemoOptions): Promise<DemoReport> {
  const { context, session, file, profile } = options
  const { interrupted: signal, output } = context
  const control = await Control.open(session.log(), session.topics, session.registry())
  const { programme, day: inForce } = await control.read()
  checkProgramme(programme, profile)
  const sha256 = await sha256Of(file)
  const begun = await markerOf(session, inForce, { sha256, profile: profile.name })
  output.note('reading the receipts …')
  const reading = { path: file, profile, registry: session.registry(), topics: session.topics, signal }
  let days: ReceiptDays | null = null
  try {
    days = await ReceiptDays.read({ ...reading, calendar: calendarOf(programme) })
    const till = new TillClient({ url: session.apiUrl, system: profile.system.name, signal })
    const replay = new Replay({ context, session, control, programme, till })
    const plan = await planOf(options, days, { begun, inForce, sha256 })
    return await run(options, { days, plan, replay, control })
  } catch (error) {
    if (!signal.aborted || error instanceof LoyaltyError) throw error
    throw interruptedBefore(null)
  } finally {
    await days?.close()
  }
}

/** Errors: `programme_missing`, `programme_unfit`. */
function checkProgramme(
  programme: ProgrammeConfigured | null,
  { currency }: FileProfile,
): asserts programme is ProgrammeConfigured {
  if (programme === null) throw new LoyaltyError('programme_missing', 'no programme is configured')
  if (programme.clock === 'events' && programme.currency === currency) return
  throw new LoyaltyError(
    'programme_unfit',
    `the replay needs a programme whose days begin by events and whose currency is ${currency}; ` +
      `this one has the clock ${programme.clock} and counts in ${programme.currency}. Choose an empty --data-dir`,
  )
}

/** The replay that was begun here, or null where nothing was. Errors: `programme_begun`: something else was. */
async function markerOf(
  session: Session,
  inForce: number | null,
  given: { readonly sha256: string; readonly profile: string },
): Promise<ReplayMarker | null> {
  const marker = readMarker(session.config.dataDir)
  if (marker !== null && marker.file_sha256 === given.sha256 && marker.profile === given.profile) return marker
  const transactions = await recordEnds(session.log(), session.topics.transactions)
  if (marker === null && inForce === null && transactions.every((end) => end === 0)) return null
  const what = marker === null ? 'has transactions or days already' : 'is a replay of another file or profile'
  throw new LoyaltyError('programme_begun', `the programme ${what}; choose an empty --data-dir`)
}

interface Plan {
  /** The day to begin with: the one in force, if any, since it may not be over. */
  readonly from: number
  readonly first: number
  readonly count: number
  readonly calibrateAt: number
}

async function planOf(
  { session, context, profile, days: wanted, calibrateAfter }: DemoOptions,
  days: ReceiptDays,
  known: { readonly begun: ReplayMarker | null; readonly inForce: number | null; readonly sha256: string },
): Promise<Plan> {
  const { begun, inForce, sha256 } = known
  const { first, last } = days
  const count = Math.min(wanted ?? Number.POSITIVE_INFINITY, last - first + 1)
  const marker = begun ?? {
    file_sha256: sha256,
    profile: profile.name,
    first_day: isoOfDay(first),
    calibrate_after: calibrateAfter ?? Math.ceil(count / 4),
  }
  const { note } = context.output
  if (begun === null) await writeMarker(session.config.dataDir, marker)
  else note(`the replay goes on with ${inForce === null ? marker.first_day : isoOfDay(inForce)}`)
  const calibrateAt = first + marker.calibrate_after
  note(`cut-points are calibrated as of ${isoOfDay(calibrateAt)}, for good; before, nobody has R, F and M scores`)
  return { from: Math.max(first, inForce ?? first), first, count, calibrateAt }
}

async function run(
  { context, daysPerSecond, onDay }: DemoOptions,
  parts: {
    readonly days: ReceiptDays
    readonly plan: Plan
    readonly replay: Replay
    readonly control: Control
  },
): Promise<DemoReport> {
  const { from, first, count, calibrateAt } = parts.plan
  const { interrupted: signal } = context
  const startMs = performance.now()
  let transactions = 0
  let last: DayOutcome | null = null
  for (let day = from; day < first + count; day++) {
    const dueMs = startMs + ((day - from) / daysPerSecond) * 1_000
    await delay(Math.max(0, dueMs - performance.now()), undefined, { signal }).catch(() => {})
    if (signal.aborted) throw interruptedBefore(day)
    last = await parts.replay.day(day, await parts.days.of(day), day >= calibrateAt)
    transactions += last.transactions
    onDay(last, day - first + 1, count)
  }
  if (last === null) throw new LoyaltyError('programme_begun', 'all of these days were replayed before')
  const calibratedAsOf = (await parts.control.read()).cutPoints?.calibrated_as_of ?? null
  return {
    days: dayOfIso(last.date) - from + 1,
    transactions,
    seconds: Math.round(performance.now() - startMs) / 1_000,
    as_of: last.date,
    calibrated_as_of: calibratedAsOf === null ? null : isoOfDay(calibratedAsOf),
    buyers: last.buyers,
    segments: last.segments,
  }
}

function interruptedBefore(day: number | null): LoyaltyError {
  const where = day === null ? 'here' : `before ${isoOfDay(day)}`
  return new LoyaltyError('interrupted', `the replay stops ${where}; the same command goes on`)
}
