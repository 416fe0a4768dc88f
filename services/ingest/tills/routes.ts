import { createRoute, z } from '@hono/zod-openapi'
import { doorAnswer, failure, itemResult, success } from '../route-parts.ts'
import { transactionEvent } from './cloud-events.ts'
import { tillTransaction } from './item.ts'

/** Route definitions for tills. */

const transactionsAnswer = doorAnswer(
  'transactions',
  itemResult({ transaction_id: z.string().describe('id in the programme') }).openapi('TransactionResult'),
).openapi('TransactionsAnswer')

export const postTransactions = createRoute({
  method: 'post',
  path: '/api/v1/transactions',
  tags: ['tills'],
  summary: 'Transactions of a till',
  description:
    'One transaction, an array of up to 1,000, NDJSON, or CloudEvents 1.0; plain, gzip or zstd. 202 once the log has what was accepted; ' +
    'sending the same again changes nothing.',
  // Described for readers only: the body is taken in as a stream and each item is checked for itself.
  request: {
    headers: z.object({
      'loyalty-system': z.string().optional().describe('system that the transactions are of; default pos'),
      'content-encoding': z.enum(['gzip', 'zstd']).optional(),
    }),
    body: {
      required: true,
      content: {
        'application/json': { schema: z.union([tillTransaction, z.array(tillTransaction).min(1).max(1_000)]) },
        'application/cloudevents+json': { schema: transactionEvent.extend({ data: tillTransaction }) },
        'application/cloudevents-batch+json': {
          schema: z
            .array(transactionEvent.extend({ data: tillTransaction }))
            .min(1)
            .max(1_000),
        },
        'application/cloudevents+avro': {
          schema: z.string().describe('the Avro event format; data as JSON, or an event with the id of its schema'),
        },
        'application/x-ndjson': { schema: z.string().describe('one transaction a line') },
      },
    },
  },
  responses: {
    202: success('at least one transaction is accepted', transactionsAnswer),
    400: failure('nothing was accepted: details.results says why, or the body cannot be read'),
    408: failure('the body did not come in time'),
    409: failure('the programme is not configured yet'),
    413: failure('the body is too large, or has too many transactions'),
    415: failure('another content type or encoding'),
    429: failure('more is under way than can be held: wait for Retry-After seconds'),
    503: failure('the log does not answer; some may have been written, sending all again is safe'),
  },
})
