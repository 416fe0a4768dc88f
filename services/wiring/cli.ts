import { resolve } from 'node:path'
import { topicsOf } from '#schemas/topics.ts'
import type { Wiring } from '../cli/context.ts'
import type { Logger } from '../platform/logging.ts'
import { checkDirectoryFacts } from '../standalone/directory-facts.ts'
import { clickHouseCalibrator, openOriginals, projectionProgress } from './ingest.ts'
import { openLake } from './lake.ts'
import { openLog } from './log.ts'
import { allProjections } from './projections.ts'
import {
  createTopics,
  lossesOnWayBack,
  migrateDatabase,
  migrateStatistics,
  migrationTarget,
  platformSetup,
  wayBack,
} from './setup.ts'
import { openClickHouse, openPostgres, openRegistry } from './stores.ts'

/** Builds for the verbs of the CLI what the programs build for themselves. */
export function cliWiring(logger: Logger, notice: (text: string) => void): Wiring {
  return {
    setup: (basis) => platformSetup(logger, notice, basis),
    migrateDatabase: (config, target) => migrateDatabase(config, logger, target),
    migrateStatistics,
    migrationTarget,
    wayBack: (config, target) => wayBack(config, logger, target),
    lossesOnWayBack: (config, target) => lossesOnWayBack(config, logger, target),
    createTopics: async (config) => {
      checkDirectoryFacts(resolve(config.dataDir), config)
      return createTopics(config, logger)
    },
    openLog: (config) => {
      checkDirectoryFacts(resolve(config.dataDir), config)
      return openLog(config, { clientId: 'loyalty-cli', logger })
    },
    projectionProgress: (config, pool) => projectionProgress(pool, topicsOf(config.topicPrefix), allProjections),
    calibrator: clickHouseCalibrator,
    openOriginals: (config, copiesDir) => openOriginals(config, resolve(config.dataDir), copiesDir),
    openPostgres: (config) => openPostgres(config, logger),
    openClickHouse,
    openRegistry,
    openLake,
  }
}
