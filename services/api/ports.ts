import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import type { Clock } from '#streams/core/clock.ts'
import type { Log } from '#streams/log/log.ts'
import type { Logger } from '../platform/logging.ts'
import type { Metrics } from '../platform/metrics.ts'

/** What the API needs built. It owns nothing of it but the server. */
export interface ApiDeps {
  readonly pool: Pool
  readonly clickhouse: ClickHouseClient
  readonly log: Log
  readonly registry: Registry
  readonly topics: Topics
  /** Base addresses of the other programs. */
  readonly urls: ProgramUrls
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** Version of the product. */
  readonly version: string
}

export interface ProgramUrls {
  readonly ingest: string
  readonly processor: string
  readonly projector: string
  readonly registry: string
}
