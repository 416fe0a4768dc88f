import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ClientStateChanged } from '#schemas/events.ts'
import type { LogRecord } from '#streams/log/log.ts'
import { decodeMeta } from '#streams/runtime/stored-meta.ts'
import { openLmdbStore } from '#streams/state/lmdb-state-store.ts'
import type { StateStore } from '#streams/state/state-store.ts'
import type { Client } from '#streams/topologies/client.ts'
import { ClientStore } from '#streams/topologies/client-store.ts'
import { RowWriter } from '#streams/topologies/rows.ts'
import { tempDir } from '../temp-dir.ts'
import type { Blocks, Letter } from './blocks.ts'
import { digestOf, type Folded, sumOf } from './ledgers.ts'

const copyFiles = promisify(execFile)

/** What the log says about a partition. */
export interface Logged {
  readonly blocks: Blocks
  readonly letters: ReadonlyMap<number, Letter>
  readonly records: readonly LogRecord[]
  /** Entries that ledgers keep in full. */
  readonly cap: number
  /** Ledgers of the records below an offset. */
  fold(end: number): Promise<Folded>
}

/**
 * Invariant 1 of runtime.md: what a task has stored is not ahead of its last committed block, was written by a step that
 * is in the log, and holds the very ledgers of the transactions below its position. With `rows` it must have caught up,
 * and hold these as well. Errors: those of `assert`.
 */
export async function checkStored(
  store: StateStore,
  logged: Logged,
  rows: ReadonlyMap<string, ClientStateChanged> | null,
): Promise<void> {
  const meta = decodeMeta(store.meta())
  const last = logged.blocks.positions.at(-1)
  if (meta === null) {
    assert.equal(rows, null, 'a task that has caught up has stored something')
    assert.equal(store.stats().entries, 0, 'a store without a position is empty')
    return
  }
  assert.ok(
    meta.transactions <= (last?.transactions ?? logged.blocks.from ?? 0),
    `stored state is at ${meta.transactions}, ahead of the last block at ${last?.transactions}`,
  )
  if (meta.attempt !== '') {
    const step = logged.blocks.positions.find(({ attempt }) => attempt === meta.attempt)
    assert.equal(step?.transactions, meta.transactions, `stored state is of step ${meta.attempt}, which is in the log`)
  }
  if (rows !== null) assert.equal(meta.transactions, last?.transactions, 'stored state has caught up')
  const stored = clientsOf(store, logged.cap)
  const folded = await logged.fold(meta.transactions)
  assert.deepEqual([...stored.keys()].sort(), [...folded.clients.keys()].sort(), 'clients with a stored ledger')
  for (const [id, { ledger, counted }] of folded.clients) {
    const client = stored.get(id)!
    assert.equal(digestOf(client.ledger), digestOf(ledger), `stored ledger of ${id}`)
    assert.deepEqual(sumOf(client.ledger), sumOf(ledger), `sums over the stored ledger of ${id}`)
    assert.equal(client.counted, counted, `counted sales of ${id}`)
  }
  if (rows !== null) checkRows(stored, rows)
}

/** Clients with a stored ledger, by id. */
export function clientsOf(store: StateStore, cap: number): Map<string, Client> {
  const clients = new ClientStore(store, 0)
  clients.setCap(cap)
  return new Map(clients.scan(null, Number.MAX_SAFE_INTEGER).clients.map((client) => [client.id, client]))
}

function checkRows(stored: ReadonlyMap<string, Client>, rows: ReadonlyMap<string, ClientStateChanged>): void {
  const writer = new RowWriter(1)
  for (const [id, { row }] of stored) {
    const logged = writer.emitted(rows.get(id)!)
    assert.deepEqual(row, logged, `stored row of ${id}`)
  }
}

/**
 * The state below a processor's data directory, whose process has ended: `work` gets copies, so that the next process
 * finds everything as the last one left it.
 */
export async function withStores<T>(
  dataDir: string,
  work: (stores: ReadonlyMap<number, StateStore>) => Promise<T>,
): Promise<T> {
  const copy = await tempDir()
  const stores = new Map<number, StateStore>()
  try {
    const state = join(dataDir, 'state')
    for (const partition of await readdir(state).catch(() => [])) {
      // The file is mostly holes, which fs.cp would fill.
      await copyFiles('cp', ['-a', '--sparse=always', join(state, partition), join(copy.path, partition)])
      const discarded = (reason: string) => assert.fail(`the state of partition ${partition} was discarded: ${reason}`)
      const store = openLmdbStore(join(copy.path, partition), { onDiscarded: discarded })
      await store.open()
      stores.set(Number(partition), store)
    }
    return await work(stores)
  } finally {
    for (const store of stores.values()) await store.close()
    await copy.remove()
  }
}
