import type { Command } from 'commander'
import { ask } from '../ask.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { tableOf } from '../output.ts'
import { withSession } from '../session.ts'

interface SourceAnswer {
  readonly name: string
  readonly kind: string
  readonly schedule: string
  readonly next_run: string | null
  readonly last_run: string | null
  readonly watermark: string | null
  readonly error: { readonly code: string; readonly message: string } | null
  readonly open_files: readonly string[]
}

const path = '/api/v1/management/data/sources'

export function sourcesVerb(program: Command, context: CliContext): void {
  const sources = program
    .command('sources')
    .description('folders, S3 prefixes and queries that are looked through by a schedule (LOYALTY_SOURCES)')
  sources
    .command('list')
    .description('every source, when it is looked through, and what went wrong the last time')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .action(async (options: CommonOptions) => {
      const answer = await withSession(context, options, ['platform'], ({ apiUrl }) =>
        ask<{ sources: SourceAnswer[] }>(apiUrl + path),
      )
      if (options.json) return context.output.json(answer)
      if (answer.sources.length === 0)
        return context.output.print('there are no sources; LOYALTY_SOURCES names their file')
      for (const line of tableOf(columns, answer.sources)) context.output.print(line)
    })
  sources
    .command('run')
    .argument('<name>', 'of the source')
    .description('look through a source now')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- sources run nightly\n')
    .action(async (name: string, options: CommonOptions) => {
      const answer = await withSession(context, options, ['platform'], ({ apiUrl }) =>
        ask<{ taken: string[]; refused: string[] }>(`${apiUrl}${path}/${encodeURIComponent(name)}/run`, {
          method: 'POST',
        }),
      )
      if (options.json) return context.output.json(answer)
      for (const file of answer.taken) context.output.print(`taken    ${file}`)
      for (const file of answer.refused) context.output.print(`refused  ${file}`)
      if (answer.taken.length + answer.refused.length === 0) context.output.print('nothing new')
    })
}

const columns = [
  { title: 'source', value: ({ name }: SourceAnswer) => name },
  { title: 'kind', value: ({ kind }: SourceAnswer) => kind },
  { title: 'schedule', value: ({ schedule }: SourceAnswer) => schedule },
  { title: 'last run', value: (source: SourceAnswer) => source.last_run ?? '' },
  { title: 'next run', value: (source: SourceAnswer) => source.next_run ?? '' },
  { title: 'open', value: (source: SourceAnswer) => source.open_files.length },
  { title: 'error', value: ({ error }: SourceAnswer) => (error === null ? '' : `${error.code}: ${error.message}`) },
]
