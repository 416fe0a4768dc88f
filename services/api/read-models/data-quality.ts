import type { ClickHouseClient } from '@clickhouse/client'
import {
  type BatchQuality,
  type DayQuality,
  type ExaminedUpload,
  examinedUploads,
  type NewestBusinessDay,
  newestBusinessDay,
  type QualityCounts,
  qualityByBatch,
  qualityByDay,
} from '#clickhouse/queries/data-quality.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { rowsOf } from '../../platform/clickhouse-rows.ts'
import { type BatchReport, batchReports, type DayReport, dayReports } from './quality-report.ts'

/** Rows of one answer: a year of thirty stores, or a month of three hundred. */
const mostRows = 10_000
/** Days of a report whose beginning is not said. */
const usualDays = 31

/** Days since 1970-01-01, both included; null where nothing is said. `store` '' is what names none. */
export interface QualityRange {
  readonly fromDay: number | null
  readonly toDay: number | null
  readonly store: string | null
}

export interface QualityByDay {
  /** Null where there is no transaction yet. */
  readonly fromDay: number | null
  readonly toDay: number | null
  readonly days: DayReport[]
}

/**
 * By business day; to the newest that has a transaction and 31 days in all, where nothing else is said.
 *
 * Errors: `report_too_large`, and those of the ClickHouse client.
 */
export async function readQualityByDay(clickhouse: ClickHouseClient, range: QualityRange): Promise<QualityByDay> {
  const toDay = range.toDay ?? (await rowsOf<NewestBusinessDay>(clickhouse, newestBusinessDay()))[0]?.day ?? null
  if (toDay === null) return { fromDay: range.fromDay, toDay: null, days: [] }
  const fromDay = range.fromDay ?? toDay - usualDays + 1
  const query = qualityByDay({ fromDay, toDay, store: range.store, limit: mostRows + 1 })
  return { fromDay, toDay, days: dayReports(fitting(await rowsOf<DayQuality>(clickhouse, query))) }
}

export interface QualityByBatch {
  readonly total: number
  readonly batches: BatchReport[]
}

/** The newest uploads. Errors: as `readQualityByDay`. */
export async function readQualityByBatch(
  clickhouse: ClickHouseClient,
  range: QualityRange,
  page: { readonly skip: number; readonly limit: number },
): Promise<QualityByBatch> {
  const { fromDay, toDay, store } = range
  const uploads = await rowsOf<ExaminedUpload>(clickhouse, examinedUploads({ fromDay, toDay, ...page }))
  const batchIds = uploads.map(({ batch_id }) => batch_id)
  return { total: uploads[0]?.total ?? 0, batches: await readBatches(clickhouse, batchIds, store) }
}

/** One upload; null where ClickHouse knows nothing of it. Errors: as `readQualityByDay`. */
export async function readQualityOfBatch(
  clickhouse: ClickHouseClient,
  batchId: string,
  store: string | null,
): Promise<BatchReport | null> {
  return (await readBatches(clickhouse, [batchId], store))[0] ?? null
}

/** In the order of `batchIds`. */
async function readBatches(
  clickhouse: ClickHouseClient,
  batchIds: readonly string[],
  store: string | null,
): Promise<BatchReport[]> {
  if (batchIds.length === 0) return []
  const query = qualityByBatch({ batchIds, store, limit: mostRows + 1 })
  const reports = batchReports(fitting(await rowsOf<BatchQuality>(clickhouse, query)))
  return batchIds.flatMap((batchId) => reports.filter((report) => report.batch_id === batchId))
}

function fitting<Row extends QualityCounts>(rows: readonly Row[]): readonly Row[] {
  if (rows.length <= mostRows) return rows
  throw new LoyaltyError(
    'report_too_large',
    `the report has more than ${mostRows} rows of a store; narrow the dates, name a store, or read the view bi_data_quality_* in ClickHouse`,
    { details: { most: mostRows } },
  )
}
