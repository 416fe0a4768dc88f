import type { PoolClient } from 'pg'
import type { ClientProfileChanged, ClientReclassified, ClientStateChanged } from '#schemas/events.ts'
import type { Batch, Delivery, Projection } from '../projection.ts'
import { deleteErased, insertHistory, upsertProfiles, upsertStates } from './postgres-profiles-sql.ts'
import { cleanText } from './postgres-rows.ts'

export interface PostgresTarget {
  /** In the transaction that also moves the offsets. */
  readonly client: PoolClient
  /** Schema of the tables: projector, or that of a rebuild. */
  readonly schema: string
}

/** A loyalty segment as data. */
export interface SegmentDefinition {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly color: string
  readonly minScore: number
  readonly maxScore: number
}

/** The newest profile of a client in a batch; `profile` null is a tombstone. */
export interface ProfileRow {
  readonly clientId: string
  readonly offset: number
  readonly profile: ClientProfileChanged | null
}

export interface HistoryRow {
  readonly change: ClientReclassified
  readonly changedMs: number
}

/** Several rows of one client in a batch become one: the newest. */
class ProfilesBatch implements Batch {
  readonly states = new Map<string, ClientStateChanged>()
  readonly profiles = new Map<string, ProfileRow>()
  readonly history: HistoryRow[] = []
  readonly open = false

  get rows(): number {
    return this.states.size + this.profiles.size + this.history.length
  }

  add(delivery: Delivery): void {
    const { record, event } = delivery
    switch (delivery.name) {
      case 'ClientStateChanged': {
        const known = this.states.get(delivery.event.client_id)
        if (known === undefined || known.version < delivery.event.version)
          this.states.set(delivery.event.client_id, delivery.event)
        return
      }
      case 'ClientReclassified':
        this.history.push({ change: delivery.event, changedMs: record.timestampMs })
        return
      case 'ClientProfileChanged':
        this.#profile(delivery.event.client_id, record.offset, delivery.event)
        return
      default:
        if (event === null && delivery.source === 'clients' && record.key !== null)
          this.#profile(Buffer.from(record.key).toString(), record.offset, null)
    }
  }

  #profile(clientId: string, offset: number, profile: ClientProfileChanged | null): void {
    this.profiles.set(clientId, { clientId, offset, profile })
  }
}

/**
 * Profiles with the current row (`clients`) and the history of segments, in Postgres. Guarded twice: the offsets move in
 * the same transaction, and an older version or an older record never replaces a newer one.
 */
export function postgresProfiles(segments: readonly SegmentDefinition[]): Projection<PostgresTarget, ProfilesBatch> {
  return {
    name: 'postgres-profiles',
    version: 1,
    handles: ['clients', 'clientState', 'clientReclassified'],
    tables: ['clients', 'client_segment_history'],
    begin: () => new ProfilesBatch(),

    async init({ client, schema }) {
      for (const [position, segment] of segments.entries())
        await client.query(
          `INSERT INTO ${schema}.loyalty_segments
             (segment_id, segment_name, description, color_code, min_score_threshold, max_score_threshold, position)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (segment_id) DO UPDATE SET (segment_name, description, color_code, min_score_threshold,
             max_score_threshold, position) = ($2, $3, $4, $5, $6, $7)`,
          [segment.id, segment.name, segment.description, segment.color, segment.minScore, segment.maxScore, position],
        )
    },

    async apply(batch, target) {
      const profiles = sorted([...batch.profiles.values()], ({ clientId }) => clientId)
      if (profiles.length > 0) {
        await upsertProfiles(target, profiles)
        const erased = profiles.filter(({ profile }) => profile === null).map(({ clientId }) => cleanText(clientId))
        if (erased.length > 0) await deleteErased(target, erased)
      }
      const states = sorted([...batch.states.values()], ({ client_id }) => client_id)
      if (states.length > 0) await upsertStates(target, states)
      if (batch.history.length > 0) await insertHistory(target, batch.history)
    },

    async truncate({ client, schema }) {
      await client.query(`TRUNCATE ${schema}.clients, ${schema}.client_segment_history`)
    },
  }
}

/** In key order, so that two writers could never wait for each other in a circle, and index pages are met in order. */
function sorted<Row>(rows: Row[], key: (row: Row) => string): Row[] {
  return rows.sort((a, b) => (key(a) < key(b) ? -1 : 1))
}
