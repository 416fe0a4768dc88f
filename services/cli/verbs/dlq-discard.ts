import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { actionView } from '../../ingest/dead-letters/views.ts'
import type { CliContext } from '../context.ts'
import { readingNeeds, untilActionEnded, withDeadLetters } from '../dlq.ts'
import { ordererOf, type SelectionOptions, selectionOptions, selectorOf } from '../dlq-options.ts'
import { actionLines } from '../dlq-report.ts'
import { UsageError } from '../usage.ts'

interface Options extends SelectionOptions {
  readonly because: string
  readonly by?: string
}

/** As over the API: what says nothing is no reason. */
function reasonText(text: string): string {
  const reason = text.trim()
  if (reason.length > 0 && reason.length <= 1_000) return reason
  throw new UsageError(
    new LoyaltyError(
      'option_invalid',
      '--because takes a text of up to 1,000 characters that says why it is discarded',
    ),
  )
}

export function dlqDiscardVerb(dlq: Command, context: CliContext): void {
  selectionOptions(dlq.command('discard'))
    .description('put open letters aside for good; they stay readable until the topic drops them')
    .requiredOption('--because <reason>', 'why, for whoever looks later', reasonText)
    .option('--by <name>', 'who orders it (default: the account on this machine)')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  npm run -s loyalty -- dlq discard --reason conflicting_duplicate --because "typed twice at store 12"\n',
    )
    .action(async (options: Options) => {
      const selector = selectorOf(options)
      const action = await withDeadLetters(context, options, readingNeeds, async (parts) => {
        const order = await parts.letters.orderDiscard(selector, options.because, ordererOf(options.by))
        return untilActionEnded(context, parts, order.actionId)
      })
      if (options.json) return context.output.json(actionView(action))
      for (const line of actionLines(action)) context.output.print(line)
    })
}
