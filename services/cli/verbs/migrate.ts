import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import type { WayBack } from '../../platform/way-back.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { type Need, refuseRunning, type Session, withSession } from '../session.ts'
import { asUsage } from '../usage.ts'

interface Options extends CommonOptions {
  readonly to?: string
  readonly acceptDataLoss?: boolean
}

export function migrateVerb(program: Command, context: CliContext): void {
  program
    .command('migrate')
    .description('bring the schemas of PostgreSQL and ClickHouse to the version of this code (`start` does it too)')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--to <number>', 'PostgreSQL only: end at this migration, also backwards; 0 takes everything back')
    .option('--accept-data-loss', 'go backwards, and lose what the migrations that are taken back had made room for')
    .option('--json', 'print what was done as one JSON object')
    .addHelpText(
      'after',
      '\nBackwards it goes at rest only; without --accept-data-loss it says what would be lost, and does nothing.\n\nExamples:\n  npm run -s loyalty -- migrate\n  npm run -s loyalty -- migrate --to 2\n  npm run -s loyalty -- migrate --to 0 --accept-data-loss\n',
    )
    .action(async (options: Options) => {
      const { migrationTarget, migrateDatabase, migrateStatistics } = context.wiring
      const { to } = options
      const target = to === undefined ? undefined : await asUsage(() => migrationTarget(to))
      const needs: Need[] = target === undefined ? ['postgres', 'clickhouse'] : ['postgres']
      await withSession(context, options, needs, async (session) => {
        const { config } = session
        if (target !== undefined) await checkBackwards(context, session, options, target)
        const postgres = await migrateDatabase(config, target)
        const reports = target === undefined ? { ...postgres, clickhouse: await migrateStatistics(config) } : postgres
        if (options.json) return context.output.json(reports)
        for (const [schema, { applied, current }] of Object.entries(reports))
          context.output.print(
            `${schema}: ${applied.length === 0 ? 'nothing to do' : applied.join(', ')} (at ${current})`,
          )
      })
    })
}

/** Refuses to go backwards under programs that run, or to lose data that nobody has given up. */
async function checkBackwards(context: CliContext, session: Session, options: Options, target: number): Promise<void> {
  const { config, platform } = session
  const { back, connections } = await context.wiring.wayBack(config, target)
  if (back.length === 0) return
  const steps = back.flatMap(({ schema, steps }) => steps.map((step) => `${schema} ${step}`))
  const needed = (them: string) => `need the schemas as they are; stop ${them} before going back to ${target}`
  refuseRunning(platform, config.dataDir, `, and its programs ${needed('it')}`, { steps })
  if (connections > 0)
    throw new LoyaltyError(
      'database_in_use',
      `${connections} connection(s) of programs to the database are open, and they ${needed('them')}`,
      { details: { connections, steps } },
    )
  const lost = await context.wiring.lossesOnWayBack(config, target)
  const losses = lost.flatMap(lossesOf)
  if (options.acceptDataLoss) {
    for (const loss of losses) context.output.note(`lost: ${loss}`)
    return
  }
  const list = losses.map((loss) => `  ${loss}`).join('\n')
  throw new LoyaltyError(
    'data_loss_unconfirmed',
    `going back to ${target} loses data; nothing was done. With --accept-data-loss there go\n${list}\nProfiles are filled again from the log by the next start; uploads and tasks are kept nowhere else.`,
    { details: { steps, losses: lost.map(({ schema, tables, columns }) => ({ schema, tables, columns })) } },
  )
}

function lossesOf({ schema, tables, columns }: WayBack): string[] {
  return [
    ...tables.map(
      ({ table, rows }) => `${schema}.${table} (${rows.toLocaleString('en')} ${rows === 1 ? 'row' : 'rows'})`,
    ),
    ...columns.map(({ table, column }) => `${schema}.${table}.${column}`),
  ]
}
