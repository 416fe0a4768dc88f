import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { openJudged, rejectedCsv, rejectedJson } from '../../ingest/rejected-rows.ts'
import { UploadStore, type UploadView } from '../../ingest/store/uploads.ts'
import { type Language, languages } from '../../ingest/verdicts.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { type Session, withSession } from '../session.ts'

interface Options extends CommonOptions {
  readonly lang: Language
  readonly flags?: boolean
}

export function uploadsRejectedVerb(uploads: Command, context: CliContext): void {
  uploads
    .command('rejected')
    .argument('<batch_id>')
    .description('rejected rows of an upload with their reasons, as CSV to be corrected and ingested again')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .addOption(new Option('--lang <language>', 'language of the sentences').choices(languages).default('en'))
    .option('--flags', 'with the rows that were kept and flagged')
    .option('--json', 'print one JSON object, with sentences in both languages')
    .addHelpText(
      'after',
      '\nOf a receipt that was rejected all rows are there, of one in conflict once the upload is COMPLETED. Correct the cells\nand ingest the file as it is: the first columns, which tell the reason, are ignored.\n\nExamples:\n  npm run -s loyalty -- uploads rejected 7d0c3c52-6f0e-4a6e-9d7e-1b1f0c2f7a11 --lang ru > rejected.csv\n',
    )
    .action(async (batchId: string, options: Options) => {
      await withSession(context, options, ['postgres'], async (session) => {
        const upload = await uploadOf(session, batchId)
        const { config } = session
        const originals = context.wiring.openOriginals(config, join(tmpdir(), `loyalty-uploads-${process.pid}`))
        try {
          const judged = await openJudged(config.dataDir, upload, options.flags === true, originals)
          const pieces = options.json ? rejectedJson(batchId, judged) : rejectedCsv(judged, options.lang)
          for await (const piece of pieces) await context.output.write(piece)
        } finally {
          await originals.close()
        }
      })
    })
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

async function uploadOf(session: Session, batchId: string): Promise<UploadView> {
  const upload = uuid.test(batchId) ? await new UploadStore(session.postgres()).upload(batchId) : null
  if (upload !== null) return upload
  throw new LoyaltyError('upload_not_found', `there is no upload ${batchId}`, { details: { batchId } })
}
