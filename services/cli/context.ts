import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import type { Registry } from '#schemas/registry.ts'
import type { Log } from '#streams/log/log.ts'
import type { Originals } from '../ingest/originals/originals.ts'
import type { Calibrator, ProjectionProgress } from '../ingest/ports.ts'
import type { ProgrammeBasis } from '../ingest/programme.ts'
import type { LakeStore } from '../lake/store.ts'
import type { Config, Environment } from '../platform/config.ts'
import type { MigrationReport } from '../platform/migrate.ts'
import type { StepsBack, WayBack } from '../platform/way-back.ts'
import type { PlatformSetup } from '../standalone/platform.ts'
import type { Output } from './output.ts'

/** What the verbs need built; the main chooses. */
export interface Wiring {
  /** What happens between engines and programs; a programme that is not there yet is configured by `basis`. */
  setup(basis?: ProgrammeBasis): PlatformSetup
  migrateDatabase(config: Config, target?: number): Promise<Record<string, MigrationReport>>
  migrateStatistics(config: Config): Promise<MigrationReport>
  /** Errors: `migration_target_unknown`. */
  migrationTarget(text: string): Promise<number>
  /** What would be taken back on the way to a target, and how many programs are connected to the database. */
  wayBack(
    config: Config,
    target: number,
  ): Promise<{ readonly back: readonly StepsBack[]; readonly connections: number }>
  /** What the database would lose on that way; its tables are locked while it is asked. */
  lossesOnWayBack(config: Config, target: number): Promise<readonly WayBack[]>
  /** Names of the topics, which are there then. */
  createTopics(config: Config): Promise<string[]>
  openLog(config: Config): Log
  /** The lake at a place, null for `off`. Errors: `lake_location_invalid`, `config_missing`. */
  openLake(config: Config, place: string): LakeStore | null
  projectionProgress(config: Config, pool: Pool): ProjectionProgress
  calibrator(clickhouse: ClickHouseClient): Calibrator
  openRegistry(config: Config): Registry
  /** Where uploaded files are kept; what is in a bucket is copied to `copiesDir` while it is read. */
  openOriginals(config: Config, copiesDir: string): Originals
  openPostgres(config: Config): Pool
  openClickHouse(config: Config): ClickHouseClient
}

/** What a verb gets instead of ambient state. */
export interface CliContext {
  readonly env: Environment
  readonly wiring: Wiring
  readonly output: Output
  /** Aborted when the person asks the command to end. */
  readonly interrupted: AbortSignal
  /** Called by a verb that did its work and yet ends with an exit code other than 0. */
  exitWith(code: number): void
}

/** Options that most verbs share. */
export interface CommonOptions {
  readonly dataDir?: string
  readonly json?: boolean
}
