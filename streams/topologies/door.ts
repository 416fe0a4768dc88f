import { largestTransactionValue } from '#schemas/dead-letter.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import { ScannedTransaction, scan } from '#schemas/transaction-scan.ts'
import { sameBytes } from '../core/bytes.ts'
import { murmur2, partitionOfHash } from '../core/partitioner.ts'
import { newEntry } from '../domain/entry.ts'
import type { LogRecord } from '../log/log.ts'
import { type Refused, type TransactionDecoder, takeIn } from './intake.ts'
import { entryFrom, isPlainlyValid } from './scanned-entry.ts'

/** A record that a task does not take in, and the upload batch that it was of. */
export interface Turned {
  readonly outcome: Refused
  readonly batchId: string | null
}

interface DoorProgramme {
  readonly currency: string
  readonly partitions: number
}

/**
 * Takes records of `transactions` in, as `takeIn` does, without building the transaction: nearly every record is plainly
 * valid, and is taken from its bytes to the entry of a ledger. Of all others `takeIn` says what they are; what it finds to
 * be valid nevertheless – another version of the schema, an encoding that we do not write – is encoded anew.
 */
export class Door {
  /** The transaction taken in last. */
  readonly transaction = new ScannedTransaction()
  /** Its entry. */
  readonly entry = newEntry()
  /** `murmur2` of its client's id. */
  clientHash = 0
  readonly #decoder: TransactionDecoder
  /** The id in its frames says nothing: what it writes is only scanned. */
  readonly #encoder = new EventEncoder('TransactionRecorded', 0)
  readonly #partition: number

  constructor(decoder: TransactionDecoder, partition: number) {
    this.#decoder = decoder
    this.#partition = partition
  }

  /** Null where the record was taken in, otherwise why not. */
  take(record: LogRecord, programme: DoorProgramme): Turned | null {
    const { value } = record
    if (value !== null && value.length <= largestTransactionValue && this.#decoder.isNewest(value))
      if (this.#enter(record, value, programme)) return null
    const intake = takeIn(record, this.#decoder, programme, this.#partition)
    if (intake.kind === 'refused') return intake
    if (this.#enter(record, this.#encoder.encode(intake.event), programme)) return null
    throw new Error(`the transaction at offset ${record.offset} is valid in words and not in bytes`)
  }

  #enter({ key }: LogRecord, value: Uint8Array, programme: DoorProgramme): boolean {
    const { transaction, entry } = this
    if (key === null || !scan(value, transaction) || !isPlainlyValid(transaction, programme.currency)) return false
    const { clientAt, clientEnd } = transaction
    if (key.length !== clientEnd - clientAt || !sameBytes(value, clientAt, clientEnd, key, 0)) return false
    const hash = murmur2(key)
    if (partitionOfHash(hash, programme.partitions) !== this.#partition) return false
    this.clientHash = hash
    entryFrom(transaction, entry)
    return true
  }
}
