import type { Command } from 'commander'
import { LoyaltyError } from '#streams/core/error.ts'
import { bonusBalance } from '../../api/read-models/bonus.ts'
import { findClient } from '../../api/read-models/clients.ts'
import { readHistory } from '../../api/read-models/history.ts'
import { detailsOf } from '../../api/views.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { contextOfLog } from '../features-export.ts'
import { money, tableOf } from '../output.ts'
import { withSession } from '../session.ts'

const shownTransactions = 20

export function clientShowVerb(client: Command, context: CliContext): void {
  client
    .command('show')
    .argument('<client_id>')
    .description('one client: profile, segment, scores, transactions')
    .option('--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)')
    .option('--json', 'print the whole client as one JSON object')
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- client show 12346\n')
    .action(async (clientId: string, options: CommonOptions) => {
      const details = await withSession(context, options, ['postgres', 'clickhouse', 'registry'], async (session) => {
        const programme = await contextOfLog(session.log(), session.topics, session.registry())
        const row = await findClient(session.postgres(), clientId)
        if (row === null)
          throw new LoyaltyError('client_not_found', `there is no client ${clientId}`, { details: { clientId } })
        const clickhouse = session.clickhouse()
        const history = await readHistory(clickhouse, clientId, 100)
        const bonusMinor = await bonusBalance(clickhouse, row, programme.asOf.date)
        return detailsOf(row, { history, bonusMinor }, programme)
      })
      if (options.json) return context.output.json(details)
      for (const line of clientLines(details)) context.output.print(line)
    })
}

function clientLines(details: ReturnType<typeof detailsOf>): string[] {
  const { rfm_values: rfm, transaction_history: history, loyalty_segment: segment } = details
  const currency = details.currency ?? 'XXX'
  const columns = [
    { title: 'when', value: (row: (typeof history)[number]) => row.occurred_at },
    { title: 'kind', value: (row: (typeof history)[number]) => row.kind },
    { title: 'receipt', value: (row: (typeof history)[number]) => row.receipt_number ?? '' },
    { title: 'items', value: (row: (typeof history)[number]) => row.items_count },
    { title: 'amount', value: (row: (typeof history)[number]) => money(row.amount_minor, currency) },
  ]
  return [
    `client         ${details.client_id}${details.full_name === null ? '' : ` (${details.full_name})`}`,
    `segment        ${segment === null ? '(none)' : `${segment.segment_id} – ${segment.name}`}, loyalty score ${details.loyalty_score ?? '(none)'}`,
    `RFM            ${details.rfm_score ?? '(none)'}: ${rfm.recency ?? '?'} days, ${rfm.frequency} purchases, ${money(rfm.monetary_gross_minor, currency)} gross, ${money(rfm.monetary_net_minor, currency)} net`,
    `purchases      ${details.first_purchase ?? '(none)'} to ${details.last_purchase ?? '(none)'}; as of ${details.as_of ?? '(no day has started)'}`,
    '',
    ...tableOf(columns, history.slice(0, shownTransactions)),
    ...(history.length > shownTransactions ? [`… and older ones (--json shows the newest ${history.length})`] : []),
  ]
}
