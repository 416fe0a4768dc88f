import { z } from '@hono/zod-openapi'

const share = (of: string) =>
  z
    .number()
    .min(0)
    .max(1)
    .nullable()
    .openapi({ description: `Of ${of}; null of none` })

const figures = {
  transactions: z.int().openapi({ description: 'Sales and refunds that were taken in' }),
  sales: z.int(),
  refunds: z.int(),
  voids: z.int(),
  missing: z
    .object({ store: z.int(), receipt_number: z.int(), payment_method: z.int(), items: z.int() })
    .openapi({ description: 'Sales and refunds that do not say it; `items`: neither lines nor a number of items' }),
  completeness: share('the four fields of all sales and refunds those that are filled'),
  refunds_without_original: z.int().openapi({ description: 'Refunds that name no sale' }),
  unknown_originals: z
    .int()
    .openapi({ description: 'Refunds and voids whose original their client does not have (yet)' }),
  arrival_known: z.int().openapi({ description: 'Sales and refunds of which the day of arrival is known' }),
  late: z.int().openapi({ description: 'Those that came later than on the day after their business day' }),
  late_share: share('those whose arrival is known'),
  duplicates: z.int().openapi({ description: 'Transactions that came again with the content they had' }),
  duplicate_share: share('everything that came'),
  outliers: z.int(),
  outlier_share: share('sales and refunds'),
}

const rows = z
  .object({
    read: z.int(),
    accepted: z.int(),
    rejected: z.int(),
    reasons: z.record(z.string(), z.int()).openapi({ example: { bad_date: 2, duplicate_row: 255 } }),
  })
  .openapi({ description: 'Rows of the file; nothing is known of uploads that older versions took in' })

const batchFigures = {
  rows,
  dead_letters: z.int().openapi({ description: 'Of the upload; counted under the store null' }),
  ...figures,
}

const store = z.string().nullable().openapi({ description: 'null: what names none' })

const dayReport = z
  .object({ day: z.iso.date(), ...figures, stores: z.array(z.object({ store, ...figures })) })
  .openapi('DayQuality')

const batchReport = z
  .object({
    batch_id: z.string(),
    received_at: z.iso.datetime().nullable(),
    outlier_above_minor: z
      .int()
      .nullable()
      .openapi({ description: 'Bound by which the file has outliers; null: none' }),
    ...batchFigures,
    stores: z.array(
      z.object({
        store,
        others: z.boolean().openapi({ description: 'All stores of the file beyond its first 20,000' }),
        ...batchFigures,
      }),
    ),
  })
  .openapi('BatchQuality')

export const qualityAnswer = z
  .discriminatedUnion('by', [
    z.object({
      by: z.literal('day'),
      from: z.iso.date().nullable(),
      to: z.iso.date().nullable(),
      days: z.array(dayReport),
    }),
    z.object({ by: z.literal('batch'), total: z.int(), batches: z.array(batchReport) }),
  ])
  .openapi('DataQuality')
