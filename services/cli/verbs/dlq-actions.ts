import type { Command } from 'commander'
import { actionView } from '../../ingest/dead-letters/views.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { readingNeeds, withDeadLetters } from '../dlq.ts'
import { actionLines } from '../dlq-report.ts'
import { tableOf } from '../output.ts'
import { wholeNumber } from '../usage.ts'

interface Options extends CommonOptions {
  readonly limit: number
}

export function dlqActionsVerb(dlq: Command, context: CliContext): void {
  dlq
    .command('actions')
    .argument('[action_id]', 'one of them')
    .description('what was done about dead letters: who, when, what, how many; newest first')
    .option('--limit <number>', 'how many at most', wholeNumber('--limit'), 20)
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- dlq actions\n')
    .action((actionId: string | undefined, options: Options) =>
      actionId === undefined ? list(context, options) : one(context, options, actionId),
    )
}

async function one(context: CliContext, options: Options, actionId: string): Promise<void> {
  const action = await withDeadLetters(context, options, readingNeeds, ({ letters }) => letters.action(actionId))
  if (options.json) return context.output.json(actionView(action))
  for (const line of actionLines(action)) context.output.print(line)
  context.output.print(`selector ${JSON.stringify(action.selector)}`)
  if (action.rule !== null) context.output.print(`rule     ${JSON.stringify(action.rule)}`)
}

async function list(context: CliContext, options: Options): Promise<void> {
  const { total, actions } = await withDeadLetters(context, options, readingNeeds, ({ letters }) =>
    letters.store.list(0, options.limit),
  )
  const views = actions.map(actionView)
  if (options.json) return context.output.json({ total, actions: views })
  if (total === 0) return context.output.print('nothing was done about dead letters')
  for (const line of tableOf(columns, views)) context.output.print(line)
}

type View = ReturnType<typeof actionView>

const columns = [
  { title: 'action', value: (view: View) => view.action_id },
  { title: 'ordered', value: (view: View) => view.ordered_at },
  { title: 'by', value: (view: View) => view.ordered_by ?? '' },
  { title: 'kind', value: (view: View) => view.kind },
  { title: 'status', value: (view: View) => view.status },
  { title: 'meant', value: ({ counts }: View) => counts.selected },
  { title: 'done', value: ({ counts }: View) => counts.replayed + counts.discarded },
  { title: 'letters', value: (view: View) => JSON.stringify(view.selector) },
]
