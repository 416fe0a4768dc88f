import { createRoute, z } from '@hono/zod-openapi'
import { failure } from './route-parts.ts'
import { languages } from './verdicts.ts'

export const getRejectedRows = createRoute({
  tags: ['management'],
  method: 'get',
  path: '/api/v1/management/data/uploads/{batch_id}/rejected',
  summary: 'Rejected rows of an upload, to be corrected and uploaded again',
  description:
    'CSV for spreadsheets: number of the row, reason, field, value and sentence, then the cells of the original; of a receipt ' +
    'that was rejected all rows. Receipts in conflict with others are among them once the upload is COMPLETED. The corrected ' +
    'file is uploaded as it is: the columns of the verdict are ignored. A cell that ' +
    'a spreadsheet would calculate has an apostrophe before it, which is taken off again.',
  request: {
    params: z.object({ batch_id: z.uuid() }),
    query: z.object({
      lang: z
        .enum(languages)
        .optional()
        .describe('language of the sentences; without it the first of Accept-Language that there is, else English'),
      flags: z.enum(['true', 'false']).default('false').describe('true: with the rows that were kept and flagged'),
    }),
  },
  responses: {
    200: {
      description: 'the rows, in the order of the file',
      content: { 'text/csv': { schema: z.string() } },
    },
    400: failure('the id is no UUID, or lang is none that there is'),
    404: failure('there is no such upload, or no verdicts are kept of it'),
    503: failure('the file is still being read'),
  },
})
