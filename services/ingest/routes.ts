import { createRoute, z } from '@hono/zod-openapi'
import { clientsReport } from './clients/report-schema.ts'
import { postClients } from './clients/routes.ts'
import { deadLetterRoutes } from './dead-letters/routes.ts'
import { fileBody, profileRoutes } from './profile-routes.ts'
import { getRejectedRows } from './rejected-routes.ts'
import { failure, rejectedByReason, rowVerdict, success } from './route-parts.ts'
import { sourceRoutes } from './sources/routes.ts'
import { phases } from './store/phases.ts'
import { taskKinds } from './store/rows.ts'
import { statuses } from './store/uploads.ts'
import { postTransactions } from './tills/routes.ts'
import { undoReport, undoRoutes } from './undo/routes.ts'
import { flags } from './verdicts.ts'

/** Route definitions of ingestion: served here, and shown in the API's one OpenAPI document. */

export const uploadReport = z
  .object({
    lines: z.number().int().describe('rows of the file, without the header'),
    rows: z.object({ accepted: z.number().int(), rejected: z.number().int() }).describe('sums to lines'),
    accepted: z.number().int().describe('transactions that counted'),
    sales: z.number().int(),
    refunds: z.number().int(),
    voids: z.number().int(),
    duplicates: z.number().int().describe('transactions seen before'),
    dead_letters: z.number().int(),
    rejected: rejectedByReason,
    flagged: z
      .partialRecord(z.enum(flags), z.number().int())
      .optional()
      .describe('receipts that were kept and flagged, by flag'),
    outliers: z
      .object({
        above_minor: z.number().nullable().describe('amounts above it are flagged; null: none are'),
        max_minor: z.number().nullable().describe('what the profile names'),
        mads: z.number().nullable().describe('median absolute deviations above the median'),
        median_minor: z.number().nullable().describe('of the receipts of the file, to within 0.3 %'),
        mad_minor: z.number().nullable(),
      })
      .optional()
      .describe('by what rule a receipt was an outlier'),
    verdicts: z
      .array(rowVerdict)
      .readonly()
      .optional()
      .describe('the first 20 by row, those on a receipt at its first row'),
    clients: z.number().int().describe('clients of the accepted transactions'),
    buyers: z.number().int().describe('clients of the programme with a purchase that counts'),
    gross_minor: z.number().int(),
    refunded_minor: z.number().int(),
    currency: z.string(),
    as_of: z.string().nullable().describe('ISO date of the programme'),
    cut_points: z
      .object({
        recency_days: z.array(z.number().int()).readonly(),
        frequency: z.array(z.number().int()).readonly(),
        monetary_minor: z.array(z.number().int()).readonly(),
        basis: z.enum(['net', 'gross']),
      })
      .nullable(),
    segments: z.record(z.string(), z.number().int()).describe('buyers of the programme by segment'),
    seconds: z.record(z.string(), z.number()).describe('wall time by phase'),
    input: z
      .object({
        container: z.enum(['none', 'gzip', 'zstd', 'zip', 'xlsx']),
        encoding: z.string(),
        encoding_by: z.enum(['profile', 'mark', 'bytes', 'ascii', 'container']).describe('how the encoding is known'),
        delimiter: z.string().nullable(),
        sheet: z
          .object({
            name: z.string(),
            others: z.array(z.string()).describe('visible sheets that were not read'),
            error_cells: z.number().int().describe('cells such as #N/A, read as empty'),
            formulas_without_value: z.number().int().describe('formulas that were never computed, read as empty'),
            units: z
              .array(z.object({ column: z.number().int(), unit: z.string(), cells: z.number().int() }))
              .optional()
              .describe('numbers that their cells show in a currency or in %, by column from 0'),
          })
          .optional()
          .describe('of a workbook'),
        rejected_rows: z.literal(true).optional().describe('the file is one of rejected rows that came back'),
        rejected_of: z.string().optional().describe('upload that they were rejected from'),
      })
      .optional()
      .describe('what the file was found to be'),
    conflicts: z
      .object({
        count: z.number().int(),
        first: z
          .array(
            z.object({
              transaction_id: z.string(),
              client_id: z.string(),
              receipt_number: z.string().nullable(),
              occurred_at: z.string(),
              amount_minor: z.number().int(),
            }),
          )
          .readonly(),
      })
      .optional()
      .describe('receipts that came before with other content, which stays in force; missing where there is none'),
    warnings: z
      .array(
        z.object({
          code: z.string(),
          message: z.string(),
          details: z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
        }),
      )
      .readonly()
      .optional()
      .describe('what somebody should look at; missing where there is nothing'),
  })
  .openapi('UploadReport')

export const taskStatus = z
  .object({
    task_id: z.string(),
    batch_id: z.string(),
    kind: z.enum(taskKinds).describe('an upload, its undo, or the replacement of what it conflicts with'),
    status: z.enum(statuses),
    progress_percentage: z.number().int().min(0).max(100),
    phase: z.enum(phases),
    result_url: z.string().optional().describe('the upload, once it has ended'),
    report: uploadReport.nullable(),
    clients_report: clientsReport.nullable().describe('in its place, of a file of clients'),
    undo: undoReport.nullable().describe('report of a task that is no upload'),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
    waiting: z
      .object({
        code: z.string(),
        message: z.string().describe('what it waits for, and what to do'),
        details: z.record(z.string(), z.unknown()),
        since: z.string(),
      })
      .nullable()
      .describe('what hinders a task that goes on by itself once it can; null while it gets on'),
  })
  .openapi('TaskStatus')

export const upload = z
  .object({
    batch_id: z.string(),
    file_name: z.string(),
    original_file_path: z
      .string()
      .nullable()
      .describe('relative to the data directory; null of a file of clients once its upload has ended: it is deleted'),
    uploaded_by_user_id: z.string().nullable(),
    upload_timestamp: z.string(),
    status: z.enum(statuses),
    processing_start_time: z.string().nullable(),
    processing_end_time: z.string().nullable(),
    total_rows: z.number().int().nullable(),
    processed_rows: z.number().int().nullable(),
    error_code: z.string().nullable(),
    error_message: z.string().nullable(),
    associated_task_id: z.string(),
    profile: z.string(),
    size_bytes: z.number().int(),
    content_sha256: z.string(),
    report: uploadReport.nullable(),
    clients_report: clientsReport.nullable().describe('in its place, of a file of clients'),
    undone_at: z.string().nullable().describe('when it was taken back; null while it stands'),
    undo_task_id: z.string().nullable().describe('the task that takes it back, or did'),
    undo_error: z
      .object({ code: z.string(), message: z.string() })
      .nullable()
      .describe('why that failed; it goes on when it is ordered again'),
  })
  .openapi('Upload')

const management = { tags: ['management'] }

export const postUpload = createRoute({
  ...management,
  method: 'post',
  path: '/api/v1/management/data/upload',
  summary: 'Upload a file of transactions, or of clients',
  description: 'Stores the file and answers at once; the task reports what became of it. CSV, also .gz and .zst.',
  request: { body: fileBody },
  responses: {
    202: success(
      'the file is stored and waits for processing',
      z
        .object({
          task_id: z.string(),
          batch_id: z.string(),
          message: z.string(),
          profile: z.string().describe('name of the file profile that is used'),
          profile_basis: z
            .enum(['given', 'known', 'variant', 'content'])
            .describe('how it was come by; see data/preview'),
        })
        .openapi('UploadAccepted'),
    ),
    400: failure('no file, an unknown profile, a file that the profile does not fit, or one that nobody described yet'),
  },
})

export const getTaskStatus = createRoute({
  ...management,
  method: 'get',
  path: '/api/v1/management/tasks/{task_id}/status',
  summary: 'How far a task is',
  request: { params: z.object({ task_id: z.uuid() }) },
  responses: {
    200: success('the task', taskStatus),
    400: failure('the id is no UUID'),
    404: failure('there is no such task'),
  },
})

export const listUploads = createRoute({
  ...management,
  method: 'get',
  path: '/api/v1/management/data/uploads',
  summary: 'Uploads, newest first',
  request: {
    query: z.object({
      skip: z.coerce.number().int().min(0).default(0),
      limit: z.coerce.number().int().min(1).max(1000).default(50),
    }),
  },
  responses: {
    200: success(
      'a page of uploads',
      z.object({ total: z.number().int(), uploads: z.array(upload) }).openapi('Uploads'),
    ),
    400: failure('skip or limit is out of range'),
  },
})

export const getUpload = createRoute({
  ...management,
  method: 'get',
  path: '/api/v1/management/data/uploads/{batch_id}',
  summary: 'One upload with its report',
  request: { params: z.object({ batch_id: z.uuid() }) },
  responses: {
    200: success('the upload', upload),
    400: failure('the id is no UUID'),
    404: failure('there is no such upload'),
  },
})

/** All of them, for the API's OpenAPI document. */
export const ingestRoutes = [
  postTransactions,
  postClients,
  postUpload,
  getTaskStatus,
  listUploads,
  getUpload,
  ...undoRoutes,
  ...profileRoutes,
  ...deadLetterRoutes,
  getRejectedRows,
  ...sourceRoutes,
] as const
