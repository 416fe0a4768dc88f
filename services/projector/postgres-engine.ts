import type { Pool, PoolClient } from 'pg'
import type { Engine } from './engine.ts'
import { adoptNext, advance, inTransaction, nextKey, type Ownership } from './progress.ts'
import type { Batch, Projection } from './projection.ts'
import type { PostgresTarget } from './projections/postgres-profiles.ts'

const schema = 'projector'
const nextSchema = 'projector_next'
const lockNotAvailable = '55P03'

export interface PostgresEngineOptions<B extends Batch> {
  readonly pool: Pool
  readonly projection: Projection<PostgresTarget, B>
  readonly migrate: () => Promise<unknown>
  readonly maxRows?: number
}

/** Rows and offsets in one transaction: what is not committed never happened, so there is nothing to recover. */
export function postgresEngine<B extends Batch>(options: PostgresEngineOptions<B>): Engine<B> {
  const { pool, projection } = options
  const { name, tables, version } = projection
  const schemaOf = (owner: Ownership) => (owner.projection === nextKey(name) ? nextSchema : schema)

  async function swapOnce(owner: Ownership): Promise<void> {
    await inTransaction(pool, async (client) => {
      // Readers finish first, new ones wait meanwhile. Rather try again than make them queue behind a long report.
      await client.query("SET LOCAL lock_timeout = '2s'")
      for (const table of tables) {
        await client.query(`DROP TABLE ${schema}.${table}`)
        await client.query(`ALTER TABLE ${nextSchema}.${table} SET SCHEMA ${schema}`)
      }
      await client.query(`DROP SCHEMA ${nextSchema}`)
      await adoptNext(client, owner, version)
    })
  }

  async function swap(owner: Ownership): Promise<void> {
    for (let left = 10; ; left--) {
      try {
        return await swapOnce(owner)
      } catch (error) {
        if (left === 0 || (error as { code?: unknown }).code !== lockNotAvailable) throw error
      }
    }
  }

  return {
    name,
    version,
    handles: projection.handles,
    lingerMs: 0,
    mostLingerMs: 0,
    maxRows: options.maxRows ?? 20_000,
    begin: projection.begin,

    async prepare() {
      await options.migrate()
      await inTransaction(pool, (client) => projection.init({ client, schema }))
    },

    // They are in one schema with their offsets.
    async holdsRows() {
      return false
    },

    async recover() {},

    apply: (owner, batch, ranges) =>
      inTransaction(pool, async (client) => {
        await advance(client, owner, ranges)
        if (batch.rows > 0) await projection.apply(batch, { client, schema: schemaOf(owner) })
      }),

    // The swap moves tables, and with them their indexes under their names: LIKE names them as CREATE INDEX did.
    createNext: () =>
      inTransaction(pool, async (client) => {
        await client.query(`DROP SCHEMA IF EXISTS ${nextSchema} CASCADE`)
        await client.query(`CREATE SCHEMA ${nextSchema}`)
        for (const table of tables)
          await client.query(
            `CREATE TABLE ${nextSchema}.${table} (LIKE ${schema}.${table} INCLUDING ALL)${await settingsOf(client, table)}`,
          )
      }),

    swap,
    // One transaction: it happened or it did not. A rebuild that was about to swap is begun again.
    async finishSwap() {},
    async reconcile() {
      return null
    },
    async repairViews() {},
  }
}

/** Settings such as the fill factor, which LIKE does not copy. */
async function settingsOf(client: PoolClient, table: string): Promise<string> {
  const found = await client.query<{ reloptions: string[] | null }>(
    'SELECT reloptions FROM pg_class WHERE oid = $1::regclass',
    [`${schema}.${table}`],
  )
  const settings = found.rows[0]?.reloptions ?? []
  return settings.length === 0 ? '' : ` WITH (${settings.join(', ')})`
}
