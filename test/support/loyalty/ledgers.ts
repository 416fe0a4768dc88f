import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { reducedDecoder } from '#schemas/decoder.ts'
import { beforeTheFirstDate } from '#streams/domain/context.ts'
import { newEffects } from '#streams/domain/effects.ts'
import { entryOf, entryWords, newEntry } from '#streams/domain/entry.ts'
import { sumUp } from '#streams/domain/evaluate.ts'
import { type Hash64, hash64 } from '#streams/domain/hash.ts'
import type { Ledger } from '#streams/domain/ledger.ts'
import type { Transaction } from '#streams/domain/transaction.ts'
import { newValues } from '#streams/domain/values.ts'
import type { LogRecord } from '#streams/log/log.ts'
import { Client } from '#streams/topologies/client.ts'
import type { LoyaltyContext } from '#streams/topologies/context.ts'
import { takeIn } from '#streams/topologies/intake.ts'
import { transactionKey } from '#streams/topologies/step-facts.ts'
import { ReferenceLedger } from '../../streams/domain/reference-ledger.ts'
import { type Letter, repeatKey, sumKey } from './blocks.ts'
import { add, type BatchTally, type Sum, type Sums, tallyOf } from './tally.ts'
import type { World } from './world.ts'

/** Ledgers folded here from the records alone, and what became of each record. */
export interface Folded {
  readonly clients: ReadonlyMap<string, Client>
  /** The same transactions in ledgers of the plainest kind. */
  readonly references: ReadonlyMap<string, ReferenceLedger>
  readonly acceptedOffsets: readonly number[]
  /** Records that belong to other partitions. */
  readonly forwarded: readonly LogRecord[]
  readonly duplicates: number
  readonly batches: ReadonlyMap<string, BatchTally>
  /** The duplicates by batch, store and business day (`repeatKey`). */
  readonly repeats: ReadonlyMap<string, number>
  /** Effects by client and key of the transaction that they are on (`sumKey`). */
  readonly effects: Sums
}

/**
 * Folds a partition's records. Invariant 6: each is accepted, or repeats what is in a ledger, or belongs to another
 * partition, or is in dead letters for the very reason for which it is refused here. Errors: those of `assert`.
 */
export async function foldLedgers(
  world: World,
  context: LoyaltyContext,
  partition: number,
  records: readonly LogRecord[],
  letters: ReadonlyMap<number, Letter>,
): Promise<Folded> {
  const decoder = reducedDecoder(world.registry, 'TransactionRecorded', ['attributes'])
  const programme = context.domain.programme
  assert.ok(programme !== null || records.length === 0, 'nothing is taken in without a programme')
  const { calendar } = context.domain
  const fold = new Fold(programme?.ledgerCap ?? 0, letters, (ms) => calendar.dayOf(ms))
  for (const record of records) {
    await decoder.read(record.value)
    const intake = takeIn(record, decoder, programme!, partition)
    if (intake.kind === 'transaction') fold.take(record, intake.transaction, intake.event.batch_id)
    else if (intake.outcome.kind === 'forward') fold.forwarded.push(record)
    else if (intake.outcome.kind === 'dead') fold.refuse(record, intake.outcome.reason, intake.batchId)
    else assert.fail(`the schema of offset ${record.offset} could not be had`)
  }
  return fold
}

class Fold implements Folded {
  readonly clients = new Map<string, Client>()
  readonly references = new Map<string, ReferenceLedger>()
  readonly acceptedOffsets: number[] = []
  readonly forwarded: LogRecord[] = []
  readonly batches = new Map<string, BatchTally>()
  readonly repeats = new Map<string, number>()
  readonly effects: Sums = new Map()
  duplicates = 0
  readonly #dayOf: (ms: number) => number
  readonly #letters: ReadonlyMap<number, Letter>
  readonly #settings: Parameters<typeof Ledger.empty>[0]
  readonly #effects = newEffects()
  readonly #entry = newEntry()

  constructor(cap: number, letters: ReadonlyMap<number, Letter>, dayOf: (ms: number) => number) {
    this.#dayOf = dayOf
    const none = () => assert.fail('these ledgers are never stored')
    this.#settings = { cap, chunks: { entryChunk: none, coldChunk: none } }
    this.#letters = letters
  }

  take(record: LogRecord, transaction: Transaction, batchId: string | null): void {
    const { clientId } = transaction
    const client = this.clients.get(clientId) ?? Client.unknown(clientId, Buffer.from(clientId), this.#settings)
    const reference = this.references.get(clientId) ?? new ReferenceLedger()
    const outcome = client.ledger.apply(entryOf(transaction, this.#entry), this.#effects)
    if (outcome !== 'accepted' && outcome !== 'duplicate') {
      this.refuse(record, outcome, batchId)
      return
    }
    const letter = this.#letters.get(record.offset)
    assert.equal(letter?.reason, undefined, `offset ${record.offset} is in dead letters and should be ${outcome}`)
    assert.equal(reference.apply(transaction), outcome, `offset ${record.offset}`)
    if (batchId !== null) tallyOf(this.batches, batchId)[outcome === 'accepted' ? 'accepted' : 'duplicates'] += 1
    if (outcome === 'duplicate') {
      this.duplicates += 1
      const key = repeatKey(batchId, transaction.storeId, this.#dayOf(transaction.occurredAtMs))
      this.repeats.set(key, (this.repeats.get(key) ?? 0) + 1)
      return
    }
    this.clients.set(clientId, client)
    this.references.set(clientId, reference)
    this.acceptedOffsets.push(record.offset)
    this.#collect(client)
  }

  refuse(record: LogRecord, reason: string, batchId: string | null): void {
    const letter = this.#letters.get(record.offset)
    assert.ok(letter !== undefined, `offset ${record.offset} is refused (${reason}) and not in dead letters`)
    assert.equal(letter.reason, reason, `reason for offset ${record.offset}`)
    if (letter.truncatedFrom === null) assert.deepEqual(bytesOf(letter.record.value), bytesOf(record.value))
    assert.deepEqual(bytesOf(letter.record.key), bytesOf(record.key))
    if (batchId !== null) tallyOf(this.batches, batchId).dead += 1
  }

  #collect(client: Client): void {
    const { idHi, idLo } = this.#entry
    const { count, grossMinor, netMinor, others } = this.#effects
    const own = { keyHi: idHi, keyLo: idLo, count, grossMinor, netMinor }
    for (const effect of [own, ...others]) {
      client.counted += effect.count
      const sum = { count: effect.count, gross: effect.grossMinor, net: effect.netMinor }
      add(this.effects, sumKey(client.id, transactionKey(effect.keyHi, effect.keyLo)), sum)
    }
  }
}

const values = newValues()

/** What a ledger counts for, whatever the date. */
export function sumOf(ledger: Ledger): Sum {
  sumUp(ledger, beforeTheFirstDate, values)
  const gross = values.monetaryGrossMinor
  return { count: values.frequency, gross, net: gross - values.refundedMinor }
}

/** What each accepted transaction counts for, by the plainest rules there are; keys as in `effects`. */
export function referenceSums(references: ReadonlyMap<string, ReferenceLedger>): Sums {
  const hash: Hash64 = { hi: 0, lo: 0 }
  const sums: Sums = new Map()
  for (const [clientId, reference] of references)
    for (const [id, sum] of reference.contributions()) {
      hash64(id, hash)
      add(sums, sumKey(clientId, transactionKey(hash.hi, hash.lo)), sum)
    }
  return sums
}

/** Digest of everything that a ledger keeps: equal for ledgers of the same transactions in the same order. */
export function digestOf(ledger: Ledger): string {
  const hash = createHash('sha256').update(ledger.encodeHead())
  for (let number = 0; number < ledger.count; number++) {
    const at = ledger.offsetOf(number)
    hash.update(ledger.wordsOf(number).subarray(at, at + entryWords))
  }
  const past = ledger.past
  for (let index = 0; index < (past?.cold.lengths.length ?? 0); index++) hash.update(past!.cold.chunk(index))
  return hash.digest('hex')
}

function bytesOf(bytes: Uint8Array | null): Buffer | null {
  return bytes && Buffer.from(bytes)
}
