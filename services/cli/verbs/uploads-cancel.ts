import type { Command } from 'commander'
import { UndoStore } from '../../ingest/store/undos.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { withSession } from '../session.ts'
import { uuid } from '../usage.ts'

export function uploadsCancelVerb(uploads: Command, context: CliContext): void {
  uploads
    .command('cancel')
    .argument('<batch_id>', 'as `uploads list` has it', uuid('batch_id'))
    .description('stop an upload of which nothing was published yet')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .action(async (batchId: string, options: CommonOptions) => {
      // In the database, where the program that works on it looks: it may be any, or none.
      const { taskId } = await withSession(context, options, ['postgres'], (session) =>
        new UndoStore(session.postgres()).cancel(batchId),
      )
      if (options.json) return context.output.json({ task_id: taskId, batch_id: batchId, cancelled: true })
      context.output.print(`upload ${batchId} was cancelled; nothing of it was published`)
    })
}
