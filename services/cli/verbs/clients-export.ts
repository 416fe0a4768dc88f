import { type Command, Option } from 'commander'
import { clientExport, type ExportedClient } from '#clickhouse/queries/client-export.ts'
import { rowsOf } from '../../platform/clickhouse-rows.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { contextOfLog } from '../features-export.ts'
import { type Session, withSession } from '../session.ts'

interface Options extends CommonOptions {
  readonly format: 'csv' | 'jsonl'
}

/** The columns, in their order. */
const columns = [
  ...(['client_id', 'recency_days', 'frequency', 'monetary_gross_minor', 'monetary_net_minor'] as const),
  ...([
    'first_purchase',
    'last_purchase',
    'r',
    'f',
    'm',
    'rfm_score',
    'segment',
    'loyalty_score',
    'model',
    'as_of',
  ] as const),
] satisfies readonly (keyof ExportedClient)[]

const pageSize = 20_000

export function clientsExportVerb(clients: Command, context: CliContext): void {
  clients
    .command('export')
    .description('every client with its values, scores and segment, in the order of the ids, to standard output')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .addOption(new Option('--format <format>', 'csv has a header line').choices(['csv', 'jsonl']).default('csv'))
    .option('--json', 'the same as --format jsonl')
    .addHelpText(
      'after',
      '\nSums are in minor units, dates in the time zone of the programme.\n\nExamples:\n  npm run -s loyalty -- clients export --format csv > clients.csv\n',
    )
    .action(async (options: Options) => {
      const write = options.json || options.format === 'jsonl' ? jsonLine : csvLine
      await withSession(context, options, ['clickhouse', 'registry'], async (session) => {
        if (write === csvLine) await context.output.write(`${columns.join(',')}\n`)
        for await (const page of pagesOf(session)) await context.output.write(page.map(write).join(''))
      })
    })
}

async function* pagesOf(session: Session): AsyncGenerator<ExportedClient[]> {
  const { asOf, model } = await contextOfLog(session.log(), session.topics, session.registry())
  const programme = { asOfDay: asOf.date, model: model === null ? null : `${model.id}/${model.version}` }
  for (let afterClientId = ''; ; ) {
    const query = clientExport({ afterClientId, limit: pageSize, ...programme })
    const page = await rowsOf<ExportedClient>(session.clickhouse(), query)
    if (page.length > 0) yield page
    if (page.length < pageSize) return
    afterClientId = page.at(-1)!.client_id
  }
}

function jsonLine(client: ExportedClient): string {
  return `${JSON.stringify(Object.fromEntries(columns.map((column) => [column, client[column]])))}\n`
}

function csvLine(client: ExportedClient): string {
  return `${columns.map((column) => csvCell(client[column])).join(',')}\n`
}

function csvCell(value: string | number | null): string {
  const text = value === null ? '' : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
