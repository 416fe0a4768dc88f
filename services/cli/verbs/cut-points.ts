import { type Command, Option } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { isoOfDay } from '#streams/domain/calendar.ts'
import { cutPointsFault } from '#streams/domain/scoring.ts'
import { Control } from '../../ingest/control.ts'
import { calendarOf } from '../../ingest/day.ts'
import type { ReportCutPoints } from '../../ingest/report.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { type Need, type Session, withSession } from '../session.ts'
import { untilSettled } from '../settled.ts'
import { asUsage, wholeNumbers } from '../usage.ts'

interface Options extends CommonOptions {
  readonly r: number[]
  readonly f: number[]
  readonly m: number[]
  readonly basis?: 'net' | 'gross'
  readonly publish?: boolean
  readonly wait?: boolean
}

const dataDir = ['--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)'] as const
const wait = ['--wait', 'wait until every client is scored; starts the platform where none is running'] as const
const json = ['--json', 'print one JSON object'] as const

const basisOption = () =>
  new Option('--basis <basis>', 'sum that M counts (default: that of the programme)').choices(['net', 'gross'])

/** Cut-points divide clients into scores: any number of cuts, ascending. */
export function cutPointsVerb(program: Command, context: CliContext): void {
  const verb = program.command('cut-points').description('the cuts that R, F and M scores are taken from')
  verb
    .command('show')
    .description('the cut-points in force')
    .option(...dataDir)
    .option(...json)
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- cut-points show --json\n')
    .action(async (options: Options) => {
      const cuts = await withSession(context, options, ['registry'], async (session) => {
        const { cutPoints, day } = await (await controlOf(session)).read()
        if (cutPoints === null) return null
        const { recency_days, frequency, monetary_minor, basis } = cutPoints
        return { recency_days, frequency, monetary_minor, basis, day: day === null ? null : isoOfDay(day) }
      })
      if (options.json) return context.output.json({ cut_points: cuts })
      context.output.print(cuts === null ? 'no cut-points are in force' : describe(cuts))
    })
  verb
    .command('calibrate')
    .description("quintiles of the programme's buyers as they stand; with --publish they come into force")
    .option(...dataDir)
    .addOption(basisOption())
    .option('--publish', 'publish them')
    .option(...wait)
    .option(...json)
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- cut-points calibrate --publish --wait\n')
    .action(async (options: Options) => {
      const needs: Need[] = options.publish && options.wait ? ['platform'] : ['clickhouse', 'registry']
      const cuts = await withSession(context, options, needs, (session) => calibrate(context, session, options))
      if (options.json) return context.output.json({ cut_points: cuts, published: options.publish === true })
      context.output.print(describe(cuts))
    })
  verb
    .command('publish')
    .description('bring given cut-points into force: every client is scored anew')
    .requiredOption('--r <days>', 'recency in days, ascending, divided by commas', wholeNumbers('--r'))
    .requiredOption('--f <counts>', 'numbers of purchases, ascending', wholeNumbers('--f'))
    .requiredOption('--m <sums>', 'sums in minor units, ascending', wholeNumbers('--m'))
    .addOption(basisOption())
    .option(...dataDir)
    .option(...wait)
    .option(...json)
    .addHelpText(
      'after',
      '\nExamples:\n  npm run -s loyalty -- cut-points publish --r 30,90 --f 1,5 --m 148400,408100 --basis gross --wait\n',
    )
    .action(async (options: Options) => {
      await asUsage(() => check(options.r, options.f, options.m))
      const cuts = await withSession(context, options, options.wait ? ['platform'] : ['registry'], async (session) => {
        const control = await controlOf(session)
        const basis = options.basis ?? (await programmeOf(control)).monetary_basis
        const given = { recency_days: options.r, frequency: options.f, monetary_minor: options.m, basis }
        await publish(context, session, control, options, given, null)
        return given
      })
      if (options.json) return context.output.json({ cut_points: cuts, published: true })
      context.output.print(describe(cuts))
    })
}

async function calibrate(context: CliContext, session: Session, options: Options): Promise<ReportCutPoints> {
  const control = await controlOf(session)
  const programme = await programmeOf(control)
  const day = (await control.read()).day ?? calendarOf(programme).dayOf(Date.now())
  const calibrator = context.wiring.calibrator(session.clickhouse())
  const cuts = await calibrator.calibrate(day, options.basis ?? programme.monetary_basis)
  if (cuts === null) throw new LoyaltyError('nothing_to_calibrate', 'no client has a purchase that counts')
  if (options.publish) await publish(context, session, control, options, cuts, day)
  return cuts
}

async function publish(
  context: CliContext,
  session: Session,
  control: Control,
  options: Options,
  cuts: ReportCutPoints,
  calibratedAsOf: number | null,
): Promise<void> {
  check(cuts.recency_days, cuts.frequency, cuts.monetary_minor)
  const end = await control.publish([
    'CutPointsPublished',
    { ...cuts, calibrated_as_of: calibratedAsOf, published_at: Date.now() },
  ])
  if (options.wait) await untilSettled(context, session, end)
}

function check(recencyDays: readonly number[], frequency: readonly number[], monetaryMinor: readonly number[]): void {
  const fault = cutPointsFault({ recencyDays, frequency, monetaryMinor, basis: 'net' })
  if (fault !== null) throw new LoyaltyError('cut_points_invalid', fault)
}

function controlOf(session: Session): Promise<Control> {
  return Control.open(session.log(), session.topics, session.registry())
}

async function programmeOf(control: Control) {
  const { programme } = await control.read()
  if (programme !== null) return programme
  throw new LoyaltyError('programme_missing', 'no programme is configured; run `loyalty start` or ingest a file')
}

function describe(cuts: ReportCutPoints): string {
  const { recency_days, frequency, monetary_minor, basis } = cuts
  return `R ${recency_days.join(', ')} days; F ${frequency.join(', ')}; M ${monetary_minor.join(', ')} (${basis}, minor units)`
}
