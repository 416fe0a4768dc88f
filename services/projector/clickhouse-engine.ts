import type { ClickHouseClient } from '@clickhouse/client'
import type { Pool } from 'pg'
import {
  createNextTables,
  dropNextTables,
  exchangeTables,
  holdRows,
  nextSuffix,
  uuidsOf,
} from './clickhouse-rebuild.ts'
import type { Engine, WriteHook } from './engine.ts'
import {
  adoptNext,
  advance,
  fulfil,
  inTransaction,
  intend,
  nextKey,
  noteRebuild,
  type Ownership,
  readIntents,
} from './progress.ts'
import type { Batch, Projection, Range } from './projection.ts'
import type { ClickHouseTarget } from './projections/clickhouse-target.ts'
import { reconcileViews, repairViews } from './reconcile.ts'

export interface ClickHouseEngineOptions<B extends Batch> {
  readonly pool: Pool
  readonly client: ClickHouseClient
  readonly projection: Projection<ClickHouseTarget, B>
  readonly migrate: () => Promise<unknown>
  readonly lingerMs?: number
  readonly maxRows?: number
  readonly hook?: WriteHook
}

/**
 * ClickHouse has no transactions, so an insert is announced in Postgres before it is made and settled there afterwards.
 * Whoever finds an announcement reads the same ranges again and inserts them under the same token; ClickHouse drops what
 * it already has.
 */
export function clickhouseEngine<B extends Batch>(options: ClickHouseEngineOptions<B>): Engine<B> {
  const { pool, client, projection } = options
  const { name, tables, version } = projection
  const hook: WriteHook = options.hook ?? (() => {})
  const target = (owner: Ownership, token: string): ClickHouseTarget => ({
    client,
    suffix: owner.projection === nextKey(name) ? nextSuffix : '',
    token,
  })

  async function finishSwap(owner: Ownership, swap: Readonly<Record<string, string>>): Promise<void> {
    await exchangeTables(client, swap, () => hook('inside-swap', name))
    await inTransaction(pool, (transaction) => adoptNext(transaction, owner, version))
    await dropNextTables(client, tables)
  }

  return {
    name,
    version,
    handles: projection.handles,
    lingerMs: options.lingerMs ?? 250,
    mostLingerMs: Math.max(options.lingerMs ?? 0, 1_000),
    maxRows: options.maxRows ?? 100_000,
    begin: projection.begin,

    async prepare() {
      await options.migrate()
      await projection.init(target({ projection: name, epoch: 0 }, ''))
    },

    holdsRows: () => holdRows(client, tables),

    async recover(owner, replay) {
      const intents = await readIntents(pool, owner.projection)
      if (intents.length === 0) return
      await projection.apply(await replay(intents), target(owner, intents[0]!.token))
      await fulfil(pool, owner, intents)
    },

    async apply(owner, batch, ranges) {
      if (batch.rows === 0) {
        await inTransaction(pool, (transaction) => advance(transaction, owner, ranges))
        return
      }
      const token = tokenOf(owner.projection, ranges)
      await intend(pool, owner, ranges, token)
      hook('after-intent', name)
      await projection.apply(batch, target(owner, token))
      hook('after-insert', name)
      await fulfil(pool, owner, ranges)
    },

    async createNext() {
      await dropNextTables(client, tables)
      await createNextTables(client, tables)
    },

    async swap(owner) {
      const swap = await uuidsOf(client, tables)
      await noteRebuild(pool, owner, 'swapping', swap)
      await finishSwap(owner, swap)
    },
    finishSwap: (owner, row) => finishSwap(owner, row.swap ?? {}),
    reconcile: () => reconcileViews(client, name),
    repairViews: () => repairViews(client, tables),
  }
}

/** projection/partition:from-to,…: the same ranges, the same token. A ClickHouse projection reads one topic. */
function tokenOf(key: string, ranges: readonly Range[]): string {
  const parts = [...ranges].sort((a, b) => a.partition - b.partition)
  return `${key}/${parts.map(({ partition, from, to }) => `${partition}:${from}-${to}`).join(',')}`
}
