import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import { type Calibration, calibration } from '#clickhouse/queries/calibration.ts'
import { type KnownTransaction, knownTransactions } from '#clickhouse/queries/known-transactions.ts'
import { type SegmentCount, segmentStats } from '#clickhouse/queries/segment-stats.ts'
import type { Topics } from '#schemas/topics.ts'
import { segmentIds } from '#streams/domain/segments.ts'
import { directoryOriginals } from '../ingest/originals/directory.ts'
import { type Originals, originalsIn } from '../ingest/originals/originals.ts'
import { s3Originals } from '../ingest/originals/s3.ts'
import type { Calibrator, ProgrammeFigures, ProjectionProgress, TransactionReference } from '../ingest/ports.ts'
import { bucketOf } from '../platform/bucket-place.ts'
import { rowsOf } from '../platform/clickhouse-rows.ts'
import type { Config } from '../platform/config.ts'
import { readOffsets } from '../projector/progress.ts'
import { type Projection, topicsRead } from '../projector/projection.ts'
import { bucketPlace } from './bucket.ts'

/** What ingestion asks of the projections, answered by their stores. */

type Reading = Pick<Projection<never, never>, 'name' | 'handles'>

/** Progress of the slowest projection per topic; one that has not begun holds everything it reads at 0. */
export function projectionProgress(pool: Pool, topics: Topics, projections: readonly Reading[]): ProjectionProgress {
  return {
    async applied() {
      const rows = await readOffsets(pool)
      const slowest = new Map<string, number[]>()
      const wanted = projections.flatMap((projection) =>
        topicsRead(projection, topics).map((topic) => ({ projection, topic })),
      )
      for (const { projection, topic } of wanted) {
        const offsets: number[] = []
        for (const row of rows)
          if (row.projection === projection.name && row.topic === topic) offsets[row.partition] = row.nextOffset
        const before = slowest.get(topic)
        slowest.set(topic, before === undefined ? offsets : lower(before, offsets))
      }
      return slowest
    },
  }
}

function lower(a: readonly number[], b: readonly number[]): number[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, index) => Math.min(a[index] ?? 0, b[index] ?? 0))
}

/** Quintiles by ClickHouse over `client_state`. */
export function clickHouseCalibrator(clickhouse: ClickHouseClient): Calibrator {
  return {
    async calibrate(asOfDay, basis) {
      const [row] = await rowsOf<Calibration>(clickhouse, calibration({ asOfDay }))
      if (row === undefined || row.buyers === 0) return null
      const { recency_days, frequency } = row
      return { recency_days, frequency, monetary_minor: basis === 'net' ? row.net_minor : row.gross_minor, basis }
    },
  }
}

/** Buyers and segments of the programme from ClickHouse's `client_state`, known transactions from `transactions`. */
export function clickHouseFigures(clickhouse: ClickHouseClient): ProgrammeFigures {
  return {
    async read() {
      const rows = await rowsOf<SegmentCount>(clickhouse, segmentStats())
      const segments: Record<string, number> = Object.fromEntries(segmentIds.map((id) => [id, 0]))
      for (const { segment, buyers } of rows) if (segment !== '') segments[segment] = buyers
      return { buyers: rows.reduce((sum, { buyers }) => sum + buyers, 0), segments }
    },
    async unknown(references) {
      const known = new Set<string>()
      for (const slice of slicesOf(references)) {
        const clientIds = slice.map(({ clientId }) => clientId)
        const query = knownTransactions(
          clientIds,
          slice.map(({ transactionId }) => transactionId),
        )
        for (const row of await rowsOf<KnownTransaction>(clickhouse, query))
          known.add(keyOf(row.client_id, row.transaction_id))
      }
      return references.map(({ clientId, transactionId }) => !known.has(keyOf(clientId, transactionId)))
    },
  }
}

/** ClickHouse takes 128 KiB for a parameter, unless it is told otherwise. */
const mostChars = 30_000

function* slicesOf(references: readonly TransactionReference[]): Generator<readonly TransactionReference[]> {
  let begin = 0
  let chars = 0
  for (const [index, { clientId, transactionId }] of references.entries()) {
    chars += clientId.length + transactionId.length
    if (chars < mostChars && index + 1 < references.length) continue
    yield references.slice(begin, index + 1)
    begin = index + 1
    chars = 0
  }
}

function keyOf(clientId: string, transactionId: string): string {
  return JSON.stringify([clientId, transactionId])
}

/**
 * Where uploaded files are kept. What is in a bucket is also in `copiesDir` while it is worked on: a directory of this program
 * alone. Errors: `config_missing`.
 */
export function openOriginals(config: Config, dataDir: string, copiesDir: string): Originals {
  const directory = directoryOriginals(dataDir)
  const location = bucketOf(config.uploadStore)
  return originalsIn(directory, location && s3Originals(bucketPlace(config, 'upload', location), copiesDir))
}
