import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { isoOfDay } from '#streams/domain/calendar.ts'
import { Control } from '../../ingest/control.ts'
import { calendarOf } from '../../ingest/day.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { withSession } from '../session.ts'
import { untilSettled } from '../settled.ts'
import { asUsage, dayOf } from '../usage.ts'

interface Options extends CommonOptions {
  readonly wait?: boolean
}

export function dayVerb(program: Command, context: CliContext): void {
  program
    .command('day')
    .argument('[date]', 'ISO date (default: today in the time zone of the programme)')
    .description('start a day: every client is evaluated for the new date. Days never go back')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--wait', 'wait until every client is evaluated; starts the platform where none is running')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- day 2011-12-10 --wait\n')
    .action(async (date: string | undefined, options: Options) => {
      const given = date === undefined ? null : await asUsage(() => parseDay(date))
      const outcome = await withSession(
        context,
        options,
        options.wait ? ['platform'] : ['registry'],
        async (session) => {
          const control = await Control.open(session.log(), session.topics, session.registry())
          const { programme, day: before } = await control.read()
          if (programme === null)
            throw new LoyaltyError(
              'programme_missing',
              'no programme is configured; run `loyalty start` or ingest a file',
            )
          const today = calendarOf(programme).dayOf(Date.now())
          const day = given ?? today
          if (day > today)
            throw new LoyaltyError('day_refused', `${isoOfDay(day)} has not come; today is ${isoOfDay(today)}`)
          if (before !== null && day < before)
            throw new LoyaltyError('day_refused', `the programme is at ${isoOfDay(before)} and days never go back`)
          const end = await control.publish(['DayStarted', { date: day, started_at: Date.now() }])
          if (options.wait) await untilSettled(context, session, end)
          return { day: isoOfDay(day), before: before === null ? null : isoOfDay(before) }
        },
      )
      if (options.json) return context.output.json(outcome)
      context.output.print(`the programme's day is ${outcome.day} (it was ${outcome.before ?? 'not begun'})`)
    })
}

function parseDay(text: string): number {
  const day = dayOf(text)
  if (!Number.isNaN(day)) return day
  throw new LoyaltyError('day_refused', `${text} is no date; write it like 2011-12-09`)
}
