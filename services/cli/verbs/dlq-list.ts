import { type Command, Option } from 'commander'
import { states } from '../../ingest/dead-letters/scan.ts'
import { groupingView, letterView } from '../../ingest/dead-letters/views.ts'
import type { CliContext } from '../context.ts'
import { readingNeeds, withDeadLetters, withProgress } from '../dlq.ts'
import { filterOf, filterOptions, type SelectionOptions } from '../dlq-options.ts'
import { tableOf } from '../output.ts'
import { wholeNumber } from '../usage.ts'

interface Options extends SelectionOptions {
  readonly state: (typeof states)[number] | 'any'
  readonly limit: number
  readonly grouped?: boolean
}

export function dlqListVerb(dlq: Command, context: CliContext): void {
  filterOptions(dlq.command('list'))
    .description('the newest dead letters: transactions that could not be taken in, with the reason')
    .addOption(new Option('--state <state>', 'letters of one state').choices([...states, 'any']).default('open'))
    .option('--grouped', 'all of them, counted by reason, source and schema')
    .option('--limit <number>', 'how many at most', wholeNumber('--limit'), 50)
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  npm run -s loyalty -- dlq list --grouped\n  npm run -s loyalty -- dlq list --reason wrong_currency --limit 10\n',
    )
    .action((options: Options) => (options.grouped ? grouped(context, options) : newest(context, options)))
}

async function newest(context: CliContext, options: Options): Promise<void> {
  const filter = filterOf(options)
  const state = options.state === 'any' ? null : options.state
  const page = await withDeadLetters(context, options, readingNeeds, ({ letters }) =>
    letters.page({ filter, state, limit: options.limit, before: null }),
  )
  const letters = page.letters.map(letterView)
  if (options.json) return context.output.json({ dead_letters: letters, more: page.next !== null })
  if (letters.length === 0) return context.output.print('there are no such dead letters')
  for (const line of tableOf(letterColumns, letters)) context.output.print(line)
  if (page.next !== null) context.output.note('… and older ones (--limit shows more)')
}

async function grouped(context: CliContext, options: Options): Promise<void> {
  const filter = filterOf(options)
  const state = options.state === 'any' ? null : options.state
  const grouping = await withDeadLetters(context, options, readingNeeds, ({ letters }) =>
    withProgress('reading dead letters', (onProgress) => letters.groups(filter, state, { onProgress })),
  )
  const view = groupingView(grouping)
  if (options.json) return context.output.json(view)
  if (view.total === 0) return context.output.print('there are no such dead letters')
  for (const line of tableOf(groupColumns, view.groups)) context.output.print(line)
  if (view.ungrouped > 0) context.output.print(`… and ${view.ungrouped.toLocaleString('en')} in further groups`)
}

type LetterLine = ReturnType<typeof letterView>
type GroupLine = ReturnType<typeof groupingView>['groups'][number]

const letterColumns = [
  { title: 'id', value: ({ id }: LetterLine) => id },
  { title: 'arrived', value: (letter: LetterLine) => letter.arrived_at },
  { title: 'state', value: ({ state, attempt }: LetterLine) => (attempt > 1 ? `${state}, attempt ${attempt}` : state) },
  { title: 'reason', value: ({ reason }: LetterLine) => reason },
  { title: 'source', value: ({ source }: LetterLine) => source ?? '' },
  { title: 'client', value: (letter: LetterLine) => letter.client_id ?? '' },
  { title: 'detail', value: ({ detail }: LetterLine) => detail },
]

const groupColumns = [
  { title: 'letters', value: ({ count }: GroupLine) => count },
  { title: 'came back', value: (group: GroupLine) => group.came_back },
  { title: 'reason', value: ({ reason }: GroupLine) => reason },
  { title: 'source', value: ({ source }: GroupLine) => source ?? '' },
  { title: 'schema', value: (group: GroupLine) => group.schema_id ?? '' },
  { title: 'last arrived', value: (group: GroupLine) => group.last_arrived_at },
  { title: 'example', value: ({ example }: GroupLine) => `${example.id}: ${example.detail}` },
]
