import { segments } from '#streams/domain/segments.ts'
import { clickhouseFacts } from '../projector/projections/clickhouse-facts.ts'
import { clickhouseSegments } from '../projector/projections/clickhouse-segments.ts'
import { clickhouseState } from '../projector/projections/clickhouse-state.ts'
import { clickhouseUploads } from '../projector/projections/clickhouse-uploads.ts'
import { postgresProfiles, type SegmentDefinition } from '../projector/projections/postgres-profiles.ts'

/** The loyalty segments as the projector stores them. */
export const segmentDefinitions: readonly SegmentDefinition[] = segments.map((segment) => {
  const { id, name, description, colour, minScore, maxScore } = segment
  return { id, name, description, color: colour, minScore, maxScore }
})

/** The projections of the product: what has to be applied before an upload is complete. */
export const allProjections = [
  postgresProfiles(segmentDefinitions),
  clickhouseFacts,
  clickhouseState,
  clickhouseSegments,
  clickhouseUploads,
]
