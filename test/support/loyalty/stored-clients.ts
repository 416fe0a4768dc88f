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
}

/**
 * Reads the state below the data directories of all processors, which have ended cleanly. A partition that moved has state
 * in several: what is farthest counts, and where several are equally far they must agree. Ledgers must be below `cap`.
 */
export async function storedClients(dataDirs: readonly string[], cap = 4_096): Promise<StoredClients> {
  const states = (await Promise.all(dataDirs.map((dataDir) => partitionsOf(dataDir, cap)))).flat()
  const newest = states.filter(({ partition, position }) =>
    states.every((other) => other.partition !== partition || other.position <= position),
  )
  const digests = Object.assign({}, ...newest.map((state) => state.digests)) as Record<string, string>
  for (const { dataDir, partition, digests: own } of newest)
    for (const [id, digest] of Object.entries(own))
      assert.equal(digest, digests[id], `client ${id} in partition ${partition} of ${dataDir}`)
  return { digests, holders: new Set(newest.map(({ dataDir }) => dataDir)).size }
}

function partitionsOf(dataDir: string, cap: number): Promise<StoredPartition[]> {
  return withStores(dataDir, async (stores) =>
    [...stores].map(([partition, store]) => {
      const position = decodeMeta(store.meta())?.transactions ?? -1
      const clients = [...clientsOf(store, cap)].map(([id, client]) => [id, digestOf(client)] as const)
      return { dataDir, partition, position, digests: Object.fromEntries(clients) }
    }),
  )
}

function digestOf({ ledger, row, counted }: Client): string {
  const hash = createHash('sha256')
  for (const entry of entriesOf(ledger)) hash.update(entry)
  const values = row === null ? null : [row.valuesHi, row.valuesLo, row.segment, row.loyaltyScore]
  return hash.update(JSON.stringify([ledger.count, counted, values])).digest('hex')
}

/** The packed entries in the order of their bytes, which begin with their ids. */
function entriesOf(ledger: Ledger): string[] {
  return Array.from({ length: ledger.count }, (_, number) => {
    const at = ledger.offsetOf(number)
    return Buffer.from(Uint32Array.from(ledger.wordsOf(number).subarray(at, at + entryWords)).buffer).toString('hex')
  }).sort()
}
