import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { uploadBody } from '../../ingest/app.ts'
import { UploadStore, type UploadView } from '../../ingest/store/uploads.ts'
import { clientsReportLines } from '../clients-report.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { inOrder, reportLines } from '../report.ts'
import { withSession } from '../session.ts'
import { uuid } from '../usage.ts'
import { standing } from './uploads-list.ts'

export function uploadsShowVerb(uploads: Command, context: CliContext): void {
  uploads
    .command('show')
    .argument('<batch_id>', 'as `uploads list` has it', uuid('batch_id'))
    .description('one upload with its report')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print one JSON object')
    .action(async (batchId: string, options: CommonOptions) => {
      const found = await withSession(context, options, ['postgres'], (session) =>
        new UploadStore(session.postgres()).upload(batchId),
      )
      if (found === null)
        throw new LoyaltyError('upload_not_found', `there is no upload ${batchId}`, { details: { batchId } })
      if (options.json) return context.output.json(uploadBody(found))
      for (const line of uploadLines(found)) context.output.print(line)
    })
}

function uploadLines(upload: UploadView): string[] {
  const at = (ms: number | null) => (ms === null ? '(no)' : new Date(ms).toISOString())
  return [
    `upload ${upload.batchId} of ${upload.fileName} (${upload.sizeBytes.toLocaleString('en')} bytes, sha256 ${upload.sha256})`,
    `  status        ${standing(upload)}${upload.errorMessage === null ? '' : `: ${upload.errorMessage}`}`,
    `  profile       ${upload.profile}`,
    `  uploaded      ${at(upload.uploadedAtMs)}, begun ${at(upload.processingStartMs)}, ended ${at(upload.processingEndMs)}`,
    ...(upload.undoneAtMs === null ? [] : [`  taken back    ${at(upload.undoneAtMs)} by task ${upload.undoTaskId}`]),
    ...(upload.undoError === null ? [] : [`  not taken back ${upload.undoError.message}`]),
    ...(upload.report === null ? [] : reportLines(inOrder(upload.report))),
    ...(upload.clientsReport === null ? [] : clientsReportLines(upload.clientsReport)),
  ]
}
