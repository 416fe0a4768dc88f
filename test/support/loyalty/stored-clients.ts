import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { entryWords } from '#streams/domain/entry.ts'
import type { Ledger } from '#streams/domain/ledger.ts'
import { decodeMeta } from '#streams/runtime/stored-meta.ts'
import type { Client } from '#streams/topologies/client.ts'
import { clientsOf, withStores } from './stored.ts'

/** What the tasks of a programme have stored, wherever they ended. */
export interface StoredClients {
  /**
   * By client a digest of its ledger – every entry, whatever the order of arrival – and of the values and the segment that
   * its row has. Versions are left out: they say how the work was cut into steps.
   */
  readonly digests: Readonly<Record<string, string>>
  /** How many of the directories hold the newest state of a partition. */
  readonly holders: number
}

interface StoredPartition {
  readonly dataDir: string
  readonly partition: number
  /** Next offset of the transactions. */
  readonly position: number
  readonly digests: Readonly<Record<string, string>>
  /** Digests of the ledgers alone. */
  readonly ledgers: Readonly<Record<string, string>>
}

/**
 * Reads the state below the data directories of all processors, which have ended cleanly. A partition that moved has state
 * in several: that of its last owner counts (`owners`: data directory by partition; may be left out where there is one
 * directory), which must be as far as any; where others are equally far their ledgers agree. Their rows need not: the
 * partition may have moved before a sweep. Ledgers must be below `cap`.
 */
export async function storedClients(
  dataDirs: readonly string[],
  owners: ReadonlyMap<number, string> = new Map(),
  cap = 4_096,
): Promise<StoredClients> {
  const states = (await Promise.all(dataDirs.map((dataDir) => partitionsOf(dataDir, cap)))).flat()
  const digests: Record<string, string> = {}
  const holders = new Set<string>()
  for (const partition of new Set(states.map((state) => state.partition))) {
    const held = states.filter((state) => state.partition === partition)
    const last = held.find(({ dataDir }) => dataDir === (owners.get(partition) ?? dataDirs[0]))
    assert.ok(last !== undefined, `the owner of partition ${partition} has no state of it`)
    for (const other of held) {
      assert.ok(
        other.position <= last.position,
        `partition ${partition}: ${other.dataDir} is farther than its last owner`,
      )
      if (other.position === last.position)
        assert.deepEqual(other.ledgers, last.ledgers, `ledgers of partition ${partition} in ${other.dataDir}`)
    }
    Object.assign(digests, last.digests)
    holders.add(last.dataDir)
  }
  return { digests, holders: holders.size }
}

function partitionsOf(dataDir: string, cap: number): Promise<StoredPartition[]> {
  return withStores(dataDir, async (stores) =>
    [...stores].map(([partition, store]) => {
      const position = decodeMeta(store.meta())?.transactions ?? -1
      const clients = [...clientsOf(store, cap)].map(([id, client]) => ({ id, ...digestsOf(client) }))
      const digests = Object.fromEntries(clients.map(({ id, whole }) => [id, whole]))
      const ledgers = Object.fromEntries(clients.map(({ id, ledger }) => [id, ledger]))
      return { dataDir, partition, position, digests, ledgers }
    }),
  )
}

function digestsOf({ ledger, row, counted }: Client): { readonly ledger: string; readonly whole: string } {
  const hash = createHash('sha256')
  for (const entry of entriesOf(ledger)) hash.update(entry)
  const entries = hash.update(JSON.stringify([ledger.count, counted])).digest('hex')
  const values = row === null ? null : [row.valuesHi, row.valuesLo, row.segment, row.loyaltyScore]
  const whole = createHash('sha256')
    .update(JSON.stringify([entries, values]))
    .digest('hex')
  return { ledger: entries, whole }
}

/** The packed entries in the order of their bytes, which begin with their ids. */
function entriesOf(ledger: Ledger): string[] {
  return Array.from({ length: ledger.count }, (_, number) => {
    const at = ledger.offsetOf(number)
    return Buffer.from(Uint32Array.from(ledger.wordsOf(number).subarray(at, at + entryWords)).buffer).toString('hex')
  }).sort()
}
