import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { dayOfIso, isoOfDay } from '#streams/domain/calendar.ts'
import { recordEnds } from '../../ingest/completion.ts'
import { Control } from '../../ingest/control.ts'
import { calendarOf } from '../../ingest/day.ts'
import { type FileProfile, loadProfile } from '../../ingest/profile.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { type Session, withSession } from '../session.ts'
import { ReceiptDays } from '../stream-demo/days.ts'
import { type ReplayMarker, readMarker, sha256Of, writeMarker } from '../stream-demo/marker.ts'
import { type DayOutcome, Replay } from '../stream-demo/replay.ts'
import { dayView } from '../stream-demo/view.ts'
import { TillClient } from '../till-client.ts'
import { asUsage, positiveNumber, wholeNumber } from '../usage.ts'
import { untilInterrupted } from './start.ts'

interface Options extends CommonOptions {
  readonly profile: string
  readonly daysPerSecond: number
  readonly days?: number
  readonly calibrateAfter?: number
  readonly exit?: boolean
}

const sample = join(import.meta.dirname, '../../../samples/online_retail.csv.gz')

export function streamDemoVerb(program: Command, context: CliContext): void {
  program
    .command('stream-demo')
    .argument('[file]', 'file of receipts', sample)
    .description('replay the retail sample day by day, and see clients move between segments')
    .option('--profile <name>', 'file profile', 'online-retail')
    .option(
      '--days-per-second <number>',
      'speed, as far as the stream keeps up',
      positiveNumber('--days-per-second'),
      2,
    )
    .option('--days <number>', 'only so many days from the first', wholeNumber('--days'))
    .option(
      '--calibrate-after <days>',
      'days before cut-points are calibrated, for good (default: a quarter of the days)',
      wholeNumber('--calibrate-after'),
    )
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--exit', 'end after the last day')
    .option('--json', 'print each day as a JSON object on a line of its own, and the report on the last')
    .addHelpText(
      'after',
      '\nIt needs a programme of its own: an empty data directory, or one in which it was ended, where it goes on.\n\nExamples:\n  npm run -s loyalty -- stream-demo --data-dir /tmp/stream-demo\n  npm run -s loyalty -- stream-demo --days-per-second 20 --exit --json --data-dir /tmp/stream-demo\n',
    )
    .action(async (file: string, options: Options) => {
      const profile = await asUsage(() => loadProfile(options.profile))
      if (!existsSync(file)) throw new LoyaltyError('file_missing', `there is no file ${file}`, { details: { file } })
      await withSession(
        context,
        options,
        ['platform'],
        async (session) => {
          const report = await replay(context, session, file, profile, options)
          if (options.json) context.output.json(report)
          else tell(context, report)
          if (session.joined || options.exit) return
          context.output.note(`the platform goes on serving at ${session.apiUrl}; Ctrl-C stops it`)
          await untilInterrupted(context)
        },
        options.profile,
      )
    })
}

interface Report {
  readonly days: number
  readonly transactions: number
  readonly seconds: number
  readonly as_of: string
  readonly calibrated_as_of: string | null
  readonly buyers: number
  readonly segments: Readonly<Record<string, number>>
}

async function replay(
  context: CliContext,
  session: Session,
  file: string,
  profile: FileProfile,
  options: Options,
): Promise<Report> {
  const { interrupted: signal, output } = context
  const control = await Control.open(session.log(), session.topics, session.registry())
  const { programme, day: inForce } = await control.read()
  if (programme === null) throw new LoyaltyError('programme_missing', 'no programme is configured')
  if (programme.clock !== 'events' || programme.currency !== profile.currency)
    throw new LoyaltyError(
      'programme_unfit',
      `the replay needs a programme whose days begin by events and whose currency is ${profile.currency}; ` +
        `this one has the clock ${programme.clock} and counts in ${programme.currency}. Choose an empty --data-dir`,
    )
  const sha256 = await sha256Of(file)
  const begun = await markerOf(session, inForce, { sha256, profile: profile.name })
  output.note('reading the receipts …')
  const calendar = calendarOf(programme)
  const { topics } = session
  const days = await ReceiptDays.read({ path: file, profile, registry: session.registry(), topics, calendar, signal })
  try {
    const count = Math.min(options.days ?? Number.POSITIVE_INFINITY, days.last - days.first + 1)
    const marker = begun ?? {
      file_sha256: sha256,
      profile: profile.name,
      first_day: isoOfDay(days.first),
      calibrate_after: options.calibrateAfter ?? Math.ceil(count / 4),
    }
    if (begun === null) await writeMarker(session.config.dataDir, marker)
    else output.note(`the replay goes on from ${inForce === null ? marker.first_day : isoOfDay(inForce)}`)
    const calibrateAt = dayOfIso(marker.first_day) + marker.calibrate_after
    output.note(
      `cut-points are calibrated as of ${isoOfDay(calibrateAt)} and hold from then on; before that nobody has R, F and M scores`,
    )
    const till = new TillClient({ url: session.apiUrl, system: profile.system.name, signal })
    const machine = new Replay({ context, session, control, programme, till })
    const show = options.json ? (outcome: DayOutcome) => output.json(outcome) : dayView().show
    const startMs = performance.now()
    let last: DayOutcome | null = null
    let transactions = 0
    const from = Math.max(days.first, inForce ?? days.first)
    for (let day = from; day < days.first + count; day++) {
      const dueMs = startMs + ((day - from) / options.daysPerSecond) * 1_000
      await delay(Math.max(0, dueMs - performance.now()), undefined, { signal }).catch(() => {})
      if (signal.aborted)
        throw new LoyaltyError('interrupted', `the replay stops before ${isoOfDay(day)}; the same command goes on`)
      last = await machine.day(day, await days.of(day), day >= calibrateAt)
      transactions += last.transactions
      show(last, day - days.first + 1, count)
    }
    if (last === null) throw new LoyaltyError('programme_begun', 'all of these days were replayed before')
    const { cutPoints } = await control.read()
    const as = cutPoints?.calibrated_as_of ?? null
    return {
      days: dayOfIso(last.date) - from + 1,
      transactions,
      seconds: Math.round(performance.now() - startMs) / 1_000,
      as_of: last.date,
      calibrated_as_of: as === null ? null : isoOfDay(as),
      buyers: last.buyers,
      segments: last.segments,
    }
  } finally {
    await days.close()
  }
}

/** The replay that was begun here, or null where nothing was. Errors: `programme_begun`: something else was. */
async function markerOf(
  session: Session,
  inForce: number | null,
  given: { readonly sha256: string; readonly profile: string },
): Promise<ReplayMarker | null> {
  const marker = readMarker(session.config.dataDir)
  const transactions = await recordEnds(session.log(), session.topics.transactions)
  if (marker === null && inForce === null && transactions.every((end) => end === 0)) return null
  if (marker !== null && marker.file_sha256 === given.sha256 && marker.profile === given.profile) return marker
  const what =
    marker === null ? 'has transactions or days already' : 'is a replay of another file, or by another profile'
  throw new LoyaltyError('programme_begun', `the programme ${what}; choose an empty --data-dir`)
}

function tell({ output }: CliContext, report: Report): void {
  const { days, transactions, seconds, as_of: asOf, calibrated_as_of: calibratedAsOf, buyers } = report
  output.print(
    `${days} days to ${asOf} with ${transactions} receipts in ${seconds.toFixed(1)} s; ${buyers} buyers, ` +
      (calibratedAsOf === null ? 'no cut-points yet' : `cut-points as of ${calibratedAsOf}`),
  )
}
