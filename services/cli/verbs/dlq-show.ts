import type { Command } from 'commander'
import { wholeLetterView } from '../../ingest/dead-letters/views.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { readingNeeds, withDeadLetters } from '../dlq.ts'
import { wholeNumber } from '../usage.ts'

interface Options extends CommonOptions {
  readonly writtenWith?: number
}

export function dlqShowVerb(dlq: Command, context: CliContext): void {
  dlq
    .command('show')
    .argument('<id>', 'id of a letter, such as 3:128')
    .description('one dead letter with its decoded fields')
    .option('--written-with <schema>', 'decode by this schema', wholeNumber('--written-with', 0))
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- dlq show 3:128\n')
    .action(async (id: string, options: Options) => {
      const shown = await withDeadLetters(context, options, readingNeeds, ({ letters }) =>
        letters.show(id, options.writtenWith ?? null),
      )
      const view = wholeLetterView(shown)
      if (options.json) return context.output.json(view)
      const { transaction, value_base64: _, ...about } = view
      for (const [name, value] of Object.entries(about)) if (value !== null) printField(context, name, value)
      for (const [name, value] of Object.entries(transaction ?? {})) printField(context, `  ${name}`, value)
    })
}

function printField({ output }: CliContext, name: string, value: unknown): void {
  output.print(`${name.padEnd(26)} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
}
