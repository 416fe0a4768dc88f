import type { Command } from 'commander'
import type { MendingRule } from '../../ingest/dead-letters/rule.ts'
import type { LetterSelector } from '../../ingest/dead-letters/selector.ts'
import { actionView, previewView } from '../../ingest/dead-letters/views.ts'
import type { CliContext } from '../context.ts'
import { type DlqParts, readingNeeds, untilActionEnded, withDeadLetters, withProgress } from '../dlq.ts'
import {
  ordererOf,
  type RuleOptions,
  ruleOf,
  ruleOptions,
  type SelectionOptions,
  selectionOptions,
  selectorOf,
} from '../dlq-options.ts'
import { actionLines, previewLines } from '../dlq-report.ts'
import { untilTaken } from '../settled.ts'

interface ReplayOptions extends SelectionOptions {
  readonly dryRun?: boolean
  readonly wait?: boolean
  readonly by?: string
}

interface FixOptions extends ReplayOptions, RuleOptions {
  readonly replay?: boolean
}

const wait = ['--wait', 'wait until the stream has taken them in; starts the platform where none is running'] as const
const by = ['--by <name>', 'who orders it (default: the account on this machine)'] as const
const dataDir = ['--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)'] as const
const json = ['--json', 'print one JSON object'] as const

export function dlqFixVerb(dlq: Command, context: CliContext): void {
  ruleOptions(selectionOptions(dlq.command('fix')))
    .description('mend open letters by a rule: says what would come of it; with --replay it is done')
    .option('--replay', 'replay what is mended; transactions keep their ids, so that none counts twice')
    .option(...wait)
    .option(...by)
    .option(...dataDir)
    .option(...json)
    .addHelpText(
      'after',
      '\nExamples:\n  npm run -s loyalty -- dlq fix --reason wrong_currency --source pos:kiosk --set currency=RUB\n' +
        '  npm run -s loyalty -- dlq fix --reason wrong_currency --source pos:kiosk --set currency=RUB --replay --wait\n',
    )
    .action((options: FixOptions) => {
      const [selector, rule] = [selectorOf(options), ruleOf(options)]
      return options.replay ? replay(context, options, selector, rule) : preview(context, options, selector, rule)
    })
}

export function dlqReplayVerb(dlq: Command, context: CliContext): void {
  selectionOptions(dlq.command('replay'))
    .description('send open letters through the stream again as they are, such as after a schema was registered')
    .option('--dry-run', 'only say what would come of it')
    .option(...wait)
    .option(...by)
    .option(...dataDir)
    .option(...json)
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- dlq replay --reason unknown_schema --schema 7 --wait\n')
    .action((options: ReplayOptions) => {
      const selector = selectorOf(options)
      return options.dryRun ? preview(context, options, selector, null) : replay(context, options, selector, null)
    })
}

async function preview(
  context: CliContext,
  options: ReplayOptions,
  selector: LetterSelector,
  rule: MendingRule | null,
): Promise<void> {
  const found = await withDeadLetters(context, options, readingNeeds, ({ letters }) =>
    withProgress('judging dead letters', (onProgress) => letters.preview(selector, rule, { onProgress })),
  )
  if (options.json) return context.output.json(previewView(found))
  for (const line of previewLines(found)) context.output.print(line)
}

async function replay(
  context: CliContext,
  options: ReplayOptions,
  selector: LetterSelector,
  rule: MendingRule | null,
): Promise<void> {
  const needs = options.wait ? (['platform'] as const) : readingNeeds
  const { action, cameBack } = await withDeadLetters(context, options, needs, async (parts) => {
    const order = await parts.letters.orderReplay(selector, rule, ordererOf(options.by))
    const ended = await untilActionEnded(context, parts, order.actionId)
    return { action: ended, cameBack: options.wait ? await cameBackFrom(context, parts, order.actionId) : null }
  })
  if (options.json)
    return context.output.json({ ...actionView(action), ...(cameBack === null ? {} : { came_back: cameBack }) })
  for (const line of actionLines(action)) context.output.print(line)
  if (cameBack !== null && cameBack > 0)
    context.output.print(`${cameBack.toLocaleString('en')} came back: dlq list --came-back-from ${action.actionId}`)
}

/** How many of the replayed the stream has refused again. */
async function cameBackFrom(context: CliContext, { session, letters }: DlqParts, actionId: string): Promise<number> {
  await untilTaken(context, session)
  return (await letters.groups({ came_back_from: actionId }, null)).total
}
