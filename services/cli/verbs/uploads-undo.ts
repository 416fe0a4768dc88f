import type { Command } from 'commander'
import type { UndoReport } from '../../ingest/undo/report.ts'
import { ask } from '../ask.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { money } from '../output.ts'
import { segmentTable } from '../report.ts'
import { withSession } from '../session.ts'
import { awaitUndo } from '../upload.ts'
import { uuid } from '../usage.ts'
import { behindBar } from './ingest.ts'

export function uploadsUndoVerb(uploads: Command, context: CliContext): void {
  orderVerb(uploads, context, {
    name: 'undo',
    route: 'undo',
    description: 'take an upload back: what it alone delivered is voided',
  })
}

export function uploadsReplaceVerb(uploads: Command, context: CliContext): void {
  orderVerb(uploads, context, {
    name: 'replace',
    route: 'replace-conflicts',
    description: 'put the receipts of an upload in force that had come before with other content',
  })
}

interface Order {
  readonly name: string
  /** Last part of the path that it is ordered by. */
  readonly route: string
  readonly description: string
}

function orderVerb(uploads: Command, context: CliContext, { name, route, description }: Order): void {
  uploads
    .command(name)
    .argument('<batch_id>', 'as `uploads list` has it', uuid('batch_id'))
    .description(description)
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print the report as one JSON object on the last line')
    .addHelpText('after', '\nIt is waited for. Ctrl-C ends the waiting; on a running platform the work goes on.\n')
    .action(async (batchId: string, options: CommonOptions) => {
      const report = await withSession(context, options, ['platform'], async ({ apiUrl }) => {
        const url = `${apiUrl}/api/v1/management/data/uploads/${batchId}/${route}`
        const { task_id } = await ask<{ task_id: string }>(url, { method: 'POST' })
        return behindBar(context, (onProgress) => awaitUndo(apiUrl, task_id, onProgress, context.interrupted))
      })
      if (options.json) return context.output.json(report)
      for (const line of undoLines(report)) context.output.print(line)
    })
}

function undoLines(report: UndoReport): string[] {
  const count = (value: number) => value.toLocaleString('en')
  const { currency, standing, events } = report
  return [
    ...(report.kind === 'undo'
      ? [
          `  taken back    ${count(report.taken_back)} transactions (${count(report.sales)} sales, ${count(report.refunds)} refunds, ${count(report.voids)} voids)`,
          `  sums          ${money(report.gross_minor, currency)} sold, ${money(report.refunded_minor, currency)} refunded`,
          `  standing      ${count(standing.count)} that others delivered too`,
          ...standing.first.slice(0, 5).map((each) => `    ${each.transaction_id} of client ${each.client_id}`),
          `  restored      ${count(report.restored)} receipts of others that had other content`,
        ]
      : [`  replaced      ${count(report.replaced)} receipts`]),
    `  renewed       ${count(report.renewed)} of others that refer to what was voided`,
    `  published     ${count(events.accepted)} VOIDs counted, ${count(events.duplicates)} had before, ${count(events.dead_letters)} refused`,
    `  clients       ${count(report.clients)}; the programme has ${count(report.buyers)} buyers`,
    `  as of         ${report.as_of ?? '(no day has started)'}; batch of the VOIDs ${report.undo_batch_id}`,
    '',
    ...segmentTable(report.segments).map((line) => `  ${line}`),
  ]
}
