import type { Command } from 'commander'
import { uploadBody } from '../../ingest/app.ts'
import { UploadStore, type UploadView } from '../../ingest/store/uploads.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { tableOf } from '../output.ts'
import { withSession } from '../session.ts'
import { wholeNumber } from '../usage.ts'

interface Options extends CommonOptions {
  readonly limit: number
}

export function uploadsListVerb(uploads: Command, context: CliContext): void {
  uploads
    .command('list')
    .description('the newest uploads, and which of them were taken back')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--limit <number>', 'how many at most', wholeNumber('--limit'), 50)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- uploads list --limit 10\n')
    .action(async (options: Options) => {
      const found = await withSession(context, options, ['postgres'], (session) =>
        new UploadStore(session.postgres()).list(0, options.limit),
      )
      if (options.json)
        return context.output.json({ total: found.total, uploads: found.uploads.map((each) => uploadBody(each)) })
      if (found.total === 0) return context.output.print('there are no uploads')
      for (const line of tableOf(columns, found.uploads)) context.output.print(line)
      if (found.total > found.uploads.length) context.output.print(`… of ${found.total}`)
    })
}

const columns = [
  { title: 'uploaded', value: (upload: UploadView) => new Date(upload.uploadedAtMs).toISOString() },
  { title: 'batch', value: (upload: UploadView) => upload.batchId },
  { title: 'status', value: standing },
  {
    title: 'rejected',
    value: ({ report, clientsReport }: UploadView) => (report ?? clientsReport)?.rows.rejected ?? '',
  },
  { title: 'counted', value: (upload: UploadView) => upload.report?.accepted ?? '' },
  { title: 'seen before', value: (upload: UploadView) => upload.report?.duplicates ?? '' },
  { title: 'conflicts', value: (upload: UploadView) => upload.report?.conflicts?.count ?? '' },
  { title: 'file', value: (upload: UploadView) => upload.fileName },
]

/** Status, and what became of it since. */
export function standing({ status, errorCode, undoneAtMs, undoTaskId, undoError }: UploadView): string {
  if (undoneAtMs !== null) return `${status}, taken back`
  if (undoError !== null) return `${status}, not taken back (${undoError.code})`
  if (undoTaskId !== null) return `${status}, being taken back`
  return errorCode === null ? status : `${status} (${errorCode})`
}
