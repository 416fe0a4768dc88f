import type { Command } from 'commander'
import type { CliContext, CommonOptions } from '../context.ts'
import { tableOf } from '../output.ts'
import { withSession } from '../session.ts'

interface TopicSize {
  readonly topic: string
  readonly partitions: number
  /** Offsets used by what is kept: records, and marks of the log where it has some. */
  readonly offsets: number
}

export function topicsVerb(program: Command, context: CliContext): void {
  program
    .command('topics')
    .description('create the topics that are missing and show how much each holds')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- topics\n')
    .action(async (options: CommonOptions) => {
      await withSession(context, options, ['log'], async (session) => {
        const names = await context.wiring.createTopics(session.config)
        const { admin } = session.log()
        const topics: TopicSize[] = []
        for (const topic of names) {
          const [starts, ends] = await Promise.all([admin.startOffsets(topic), admin.endOffsets(topic)])
          const offsets = ends.reduce((sum, end, partition) => sum + end - (starts[partition] ?? 0), 0)
          topics.push({ topic, partitions: ends.length, offsets })
        }
        if (options.json) return context.output.json({ topics })
        const columns = [
          { title: 'topic', value: (row: TopicSize) => row.topic },
          { title: 'partitions', value: (row: TopicSize) => row.partitions },
          { title: 'offsets', value: (row: TopicSize) => row.offsets },
        ]
        for (const line of tableOf(columns, topics)) context.output.print(line)
      })
    })
}
