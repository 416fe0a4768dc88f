import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { withSession } from '../session.ts'

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
        order(`${config.projectorUrl}/rebuild/${encodeURIComponent(projection)}`),
      )
      if (options.json) return context.output.json(answer)
      context.output.print(`${projection} was built anew in ${answer.seconds.toFixed(1)} s`)
    })
}

async function order(url: string): Promise<{ projection: string; seconds: number }> {
  const response = await fetch(url, { method: 'POST' })
  const body = await response.json()
  if (response.ok) return body as { projection: string; seconds: number }
  const { code, message } = body as { code: string; message: string }
  throw new LoyaltyError(code, message)
}
