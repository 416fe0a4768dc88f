import type { Command } from 'commander'
import type { RebuildAnswer } from '../../projector/server.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { progressBar } from '../progress.ts'
import { awaitRebuild, orderRebuild } from '../rebuild.ts'
import { withSession } from '../session.ts'

export function rebuildVerb(program: Command, context: CliContext): void {
  program
    .command('rebuild')
    .argument(
      '<projection>',
      'postgres-profiles, clickhouse-facts, clickhouse-state, clickhouse-segments or clickhouse-uploads',
    )
    .description('build a projection anew from the log and swap it in, while reads go on')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nOne that is under way already is followed. Ctrl-C stops the waiting; on a running platform the rebuild goes on.\n\nExamples:\n  npm run -s loyalty -- rebuild clickhouse-facts\n',
    )
    .action(async (projection: string, options: CommonOptions) => {
      const task = await withSession(context, options, ['platform'], ({ config }) =>
        rebuild(context, config.projectorUrl!, projection),
      )
      if (options.json) return context.output.json(reportOf(task))
      const times = task.attempts === 1 ? '' : `, begun ${task.attempts} times`
      context.output.print(
        `${projection} was built anew from ${count(task.applied_records)} records in ${task.seconds.toFixed(1)} s${times}`,
      )
    })
}

async function rebuild(context: CliContext, projectorUrl: string, projection: string): Promise<RebuildAnswer> {
  const ordered = await orderRebuild(projectorUrl, projection)
  if (ordered.attempts > 0) context.output.note(`a rebuild of ${projection} is under way already; following it`)
  const bar = progressBar(100)
  try {
    return await awaitRebuild(
      projectorUrl,
      ordered.task_id,
      (now) => bar.update(now.progress_percentage, stageOf(now)),
      context.interrupted,
    )
  } finally {
    bar.stop()
  }
}

function stageOf(task: RebuildAnswer): string {
  if (task.status === 'PENDING') return 'waiting for the projector'
  if (task.waiting_for !== null) return `waiting: ${task.waiting_for.code}`
  if (task.total_records === 0) return 'making tables'
  return `${count(task.applied_records)} of ${count(task.total_records)} records`
}

function reportOf({ task_id, projection, status, applied_records, attempts, seconds }: RebuildAnswer) {
  return { task_id, projection, status, records: applied_records, attempts, seconds }
}

function count(records: number): string {
  return records.toLocaleString('en')
}
