import type { Command } from 'commander'
import type { CliContext, CommonOptions } from '../context.ts'
import { withSession } from '../session.ts'

interface Options extends CommonOptions {
  readonly to?: number
}

export function migrateVerb(program: Command, context: CliContext): void {
  program
    .command('migrate')
    .description('bring the schemas of PostgreSQL and ClickHouse to the version of this code (`start` does it too)')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--to <number>', 'PostgreSQL only: end at this migration, also backwards; 0 takes everything back', Number)
    .option('--json', 'print what was done as one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- migrate\n  npm run -s loyalty -- migrate --to 0\n')
    .action(async (options: Options) => {
      await withSession(context, options, ['postgres', 'clickhouse'], async ({ config }) => {
        const { migrateDatabase, migrateStatistics } = context.wiring
        const postgres = await migrateDatabase(config, options.to)
        const reports =
          options.to === undefined ? { ...postgres, clickhouse: await migrateStatistics(config) } : postgres
        if (options.json) return context.output.json(reports)
        for (const [schema, { applied, current }] of Object.entries(reports))
          context.output.print(
            `${schema}: ${applied.length === 0 ? 'nothing to do' : applied.join(', ')} (at ${current})`,
          )
      })
    })
}
