import type { Command } from 'commander'
import { countByClickHouse, shares } from '../../api/read-models/segments.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { segmentTable } from '../report.ts'
import { withSession } from '../session.ts'

export function segmentsVerb(program: Command, context: CliContext): void {
  program
    .command('segments')
    .description('clients per loyalty segment')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object: clients by segment')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- segments\n')
    .action(async (options: CommonOptions) => {
      const stats = await withSession(context, options, ['clickhouse'], async (session) =>
        shares(await countByClickHouse(session.clickhouse())),
      )
      const counts = Object.fromEntries(stats.map(({ segmentId, clients }) => [segmentId, clients]))
      if (options.json) return context.output.json({ segments: counts })
      for (const line of segmentTable(counts)) context.output.print(line)
    })
}
