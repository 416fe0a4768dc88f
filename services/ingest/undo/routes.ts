import { createRoute, z } from '@hono/zod-openapi'
import { failure, success } from '../route-parts.ts'

/** Route definitions: to stop an upload, to take one back, to put its other contents in force. */

const counts = z.record(z.string(), z.number())

export const undoReport = z
  .object({
    kind: z.enum(['undo', 'replace']),
    batch_id: z.string().describe('the upload'),
    undo_batch_id: z.string().describe('batch of the VOIDs in the history: the id of the task'),
    taken_back: z.number().int().describe('transactions that the upload alone had delivered: sales + refunds + voids'),
    sales: z.number().int(),
    refunds: z.number().int(),
    voids: z.number().int(),
    gross_minor: z.number().int(),
    refunded_minor: z.number().int(),
    replaced: z.number().int().describe('receipts now in force with the content of this upload'),
    restored: z
      .number()
      .int()
      .describe(
        'receipts now in force with content of others, which was in conflict with this upload or replaced by it',
      ),
    renewed: z.number().int().describe('transactions of others published again, because they refer to what was voided'),
    standing: z
      .object({
        count: z.number().int(),
        first: z.array(z.object({ client_id: z.string(), transaction_id: z.string() })).readonly(),
      })
      .describe('transactions that stay, because another upload that stands, or a till, delivered them too'),
    events: z.object({ accepted: z.number().int(), duplicates: z.number().int(), dead_letters: z.number().int() }),
    clients: z.number().int(),
    buyers: z.number().int(),
    currency: z.string(),
    as_of: z.string().nullable(),
    segments: counts,
    seconds: counts,
    warnings: z
      .array(
        z.object({
          code: z.string(),
          message: z.string(),
          details: z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
        }),
      )
      .readonly()
      .optional(),
  })
  .openapi('UndoReport')

const ordered = z
  .object({ task_id: z.string(), batch_id: z.string(), message: z.string() })
  .openapi('UploadTaskOrdered')

const common = { tags: ['management'], request: { params: z.object({ batch_id: z.uuid() }) } }

const notFound = failure('there is no such upload')

export const postUndo = createRoute({
  ...common,
  method: 'post',
  path: '/api/v1/management/data/uploads/{batch_id}/undo',
  summary: 'Take an upload back',
  description: 'Orders a task. Asked again, the answer is the same task.',
  responses: {
    200: success('it was ordered before: the same task', ordered),
    202: success('a task was ordered', ordered),
    404: notFound,
    409: failure('the upload has not ended, published nothing, is a file of clients, or an undo itself'),
  },
})

export const postReplaceConflicts = createRoute({
  ...common,
  method: 'post',
  path: '/api/v1/management/data/uploads/{batch_id}/replace-conflicts',
  summary: 'Put the receipts of an upload in force that came before with other content',
  responses: {
    200: success('it was ordered before: the same task', ordered),
    202: success('a task was ordered', ordered),
    404: notFound,
    409: failure('the upload has not ended, published nothing, or was taken back'),
  },
})

export const postCancel = createRoute({
  ...common,
  method: 'post',
  path: '/api/v1/management/data/uploads/{batch_id}/cancel',
  summary: 'Stop an upload of which nothing was published yet',
  responses: {
    200: success('nothing of it is or will be published', ordered),
    404: notFound,
    409: failure('it is being published, or has ended'),
  },
})

export const getStanding = createRoute({
  ...common,
  method: 'get',
  path: '/api/v1/management/data/uploads/{batch_id}/undo/standing',
  summary: 'Transactions that an undo let stand, as CSV: client_id, transaction_id',
  responses: {
    200: { description: 'the list', content: { 'text/csv': { schema: z.string() } } },
    404: failure('there is no such upload, or its undo has not got so far'),
  },
})

export const undoRoutes = [postUndo, postReplaceConflicts, postCancel, getStanding] as const
