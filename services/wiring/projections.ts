import { segments } from '#streams/domain/segments.ts'
import { clickhouseFacts } from '../projector/projections/clickhouse-facts.ts'
import { clickhouseSegments } from '../projector/projections/clickhouse-segments.ts'
import { clickhouseState } from '../projector/projections/clickhouse-state.ts'
import { postgresProfiles } from '../projector/projections/postgres-profiles.ts'

/** The projections of the product, by the store they fill. */
export const postgresProjections = [
  postgresProfiles(
    segments.map(({ id, name, description, colour, minScore, maxScore }) => ({
      id,
      name,
      description,
      color: colour,
      minScore,
      maxScore,
    })),
  ),
]

export const clickHouseProjections = [clickhouseFacts, clickhouseState, clickhouseSegments]

export const allProjections = [...postgresProjections, ...clickHouseProjections]
