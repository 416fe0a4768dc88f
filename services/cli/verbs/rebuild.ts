import type { Command } from 'commander'
import { ask } from '../ask.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { withSession } from '../session.ts'

interface Rebuilt {
  readonly projection: string
  readonly seconds: number
}

export function rebuildVerb(program: Command, context: CliContext): void {
  program
    .command('rebuild')
    .argument('<projection>', 'postgres-profiles, clickhouse-facts, clickhouse-state or clickhouse-segments')
    .description('build a projection anew from the log and swap it in, while reads go on')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- rebuild clickhouse-facts\n')
    .action(async (projection: string, options: CommonOptions) => {
      const answer = await withSession(context, options, ['platform'], ({ config }) =>
        ask<Rebuilt>(`${config.projectorUrl}/rebuild/${encodeURIComponent(projection)}`, { method: 'POST' }),
      )
      if (options.json) return context.output.json(answer)
      context.output.print(`${projection} was built anew in ${answer.seconds.toFixed(1)} s`)
    })
}
