import { z } from '@hono/zod-openapi'
import { transactionEventType } from './cloud-events.ts'
import { doorRoute } from './door-route.ts'
import { tillTransaction } from './item.ts'

/** Route definitions for tills. */

export const postTransactions = doorRoute({
  path: '/api/v1/transactions',
  summary: 'Transactions of a till',
  noun: 'transaction',
  item: tillTransaction,
  id: { transaction_id: z.string().describe('id in the programme') },
  eventType: transactionEventType,
  note: 'Sending the same again changes nothing.',
})
