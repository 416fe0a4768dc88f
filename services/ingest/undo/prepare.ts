import { join } from 'node:path'
import type { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import { inGeneration, splitGeneration, undoingId } from '#streams/domain/transaction-id.ts'
import { readManifest, writeManifest } from '../files/buckets.ts'
import { frame } from '../receipts/prepared-events.ts'
import type { Generations } from './generations.ts'
import { PartFiles, StandingList } from './part-files.ts'
import { PartitionPlan, type Purpose } from './plan.ts'
import { receiptKey } from './receipt-key.ts'
import { type ScanOptions, type Seen, TransactionScan } from './scan.ts'

/** What an undo or a replacement is going to publish; its manifest is the last word on it. */
export interface UndoManifest {
  readonly key: string
  readonly buckets: number
  readonly totals: UndoTotals
}

export interface UndoTotals {
  /** Transactions voided because of the batch, by kind; natural voids taken back have nothing published for them. */
  sales: number
  refunds: number
  voids: number
  grossMinor: number
  refundedMinor: number
  /** Transactions of others published again, because they refer to what is voided. */
  renewed: number
  /** Receipts published again with other content. */
  replaced: number
  /** Receipts taken back of which others that stand brought other content, published again with that. */
  restored: number
  /** Transactions of the batch that stay because others that stand delivered them too, and the first of them. */
  standing: number
  readonly firstStanding: StandingTransaction[]
}

export interface StandingTransaction {
  readonly client_id: string
  readonly transaction_id: string
}

export interface PrepareUndoOptions extends Omit<ScanOptions, 'undone'> {
  readonly purpose: Purpose
  /** Id of the task, and of the batch that its events are of. */
  readonly taskId: string
  readonly undone: readonly string[]
  /** Offsets of conflicting transactions, by partition, that are not to come in force. */
  readonly putAside: readonly (readonly number[])[]
  /** Ends of the log that the plan is made for. */
  readonly ends: readonly number[]
  /** Where the batch's own records begin. */
  readonly batchFrom: readonly number[]
  readonly encoder: EventEncoder<'TransactionRecorded'>
  readonly generations: Generations
  readonly directory: string
  readonly key: string
  readonly onProgress?: (share: number) => void
}

const shown = 20

/** Files beside the manifest: keys for `Generations.install`, and the list of what stays. */
export const keysFile = 'generations.keys'
export const standingFile = 'standing.csv'

/** Makes the events, or answers the manifest of a preparation that was completed before. */
export async function prepareUndo(options: PrepareUndoOptions): Promise<UndoManifest> {
  const manifestPath = join(options.directory, 'manifest.json')
  const done = await readManifest<UndoManifest>(manifestPath)
  if (done?.key === options.key) return done
  const files = await PartFiles.create(options.directory)
  const preparation = new Preparation(options, files)
  for (const [partition, end] of options.ends.entries()) {
    await preparation.partition(partition, end)
    options.onProgress?.((partition + 1) / options.ends.length)
  }
  const manifest = { key: options.key, buckets: await preparation.finish(), totals: preparation.totals }
  await writeManifest(manifestPath, manifest)
  return manifest
}

class Preparation {
  readonly totals: UndoTotals = {
    ...{ sales: 0, refunds: 0, voids: 0, grossMinor: 0, refundedMinor: 0, renewed: 0, replaced: 0 },
    ...{ restored: 0, standing: 0 },
    firstStanding: [],
  }
  readonly #options: PrepareUndoOptions
  readonly #files: PartFiles
  readonly #standing = new StandingList()
  readonly #scan: TransactionScan
  readonly #ended: BigUint64Array[] = []
  #number = 0

  constructor(options: PrepareUndoOptions, files: PartFiles) {
    this.#options = options
    this.#files = files
    this.#scan = new TransactionScan({ ...options, undone: new Set(options.undone) })
  }

  async partition(partition: number, end: number): Promise<void> {
    const { batchFrom, purpose, generations, log, topic } = this.#options
    const putAside = new Set(this.#options.putAside[partition])
    const plan = new PartitionPlan({ purpose, generations, putAside })
    const start = (await log.admin.startOffsets(topic))[partition] ?? 0
    await this.#scan.run(partition, { from: batchFrom[partition] ?? start, to: end }, (seen) => plan.collect(seen))
    if (plan.keys.size === 0) return
    const all = { from: start, to: end }
    do {
      plan.begin()
      await this.#scan.run(partition, all, (seen) => plan.take(seen))
    } while (!plan.settle())
    this.#keepKeys(plan)
    const drain = async () => {
      await this.#files.drain()
      await this.#standing.drain(this.#options.directory, standingFile)
    }
    await this.#scan.run(partition, all, (seen) => this.#act(plan, seen), drain)
  }

  async finish(): Promise<number> {
    const { directory } = this.#options
    await this.#standing.finish(directory, standingFile)
    await this.#files.writeAside(keysFile, joined(this.#ended))
    return this.#files.finish()
  }

  #keepKeys({ fates, keys }: PartitionPlan): void {
    const ended = new BigUint64Array(fates.size)
    let at = 0
    for (const [item, fate] of fates) {
      ended[at++] = (BigInt(keys.hiOf(item)) << 32n) | BigInt(keys.loOf(item))
      if (fate === 'renewed') this.totals.renewed++
      if (fate === 'replaced') this.totals.replaced++
      if (fate === 'succeeded') this.totals.restored++
    }
    this.#ended.push(ended)
  }

  #act(plan: PartitionPlan, seen: Seen): void {
    if (this.#options.purpose === 'undo' && plan.standsAt(seen)) this.#stands(seen)
    const action = plan.actionOf(seen)
    if (action === null) return
    const { item, removes, voids, publishesAgain } = action
    if (!removes && !voids && !publishesAgain) return
    const event = this.#scan.eventOf(seen)
    if (removes) this.#count(event)
    if (voids) this.#publish(this.#voidOf(event))
    if (publishesAgain) this.#publish(this.#again(plan, item, event))
  }

  #stands(seen: Seen): void {
    const { client_id, transaction_id } = this.#scan.eventOf(seen)
    this.totals.standing++
    if (this.totals.firstStanding.length < shown) this.totals.firstStanding.push({ client_id, transaction_id })
    this.#standing.add(client_id, transaction_id)
  }

  #count({ kind, amount_minor }: TransactionRecorded): void {
    const { totals } = this
    if (kind === 'SALE') {
      totals.sales++
      totals.grossMinor += amount_minor
    } else if (kind === 'REFUND') {
      totals.refunds++
      totals.refundedMinor += amount_minor
    } else totals.voids++
  }

  /** At the time of what it voids, so that it is in force on every day on which that is. */
  #voidOf(event: TransactionRecorded): TransactionRecorded {
    const { batchId, taskId } = this.#options
    return {
      ...{ ...event, transaction_id: undoingId(event.transaction_id), kind: 'VOID', amount_minor: 0 },
      ...{ source: `undo:${batchId}`, batch_id: taskId, original_transaction_id: event.transaction_id },
      ...{ store_id: null, payment_method: null, items_count: 0, categories: [], lines: [], attributes: {} },
      ...{ discount_minor: 0, bonus_earned_minor: 0, bonus_spent_minor: 0 },
    }
  }

  /** The same transaction in its next generation, still of the batch or till that delivered it. */
  #again(plan: PartitionPlan, item: number, event: TransactionRecorded): TransactionRecorded {
    const { original_transaction_id: original, client_id: client } = event
    const refers = original !== null && event.kind !== 'SALE'
    return {
      ...event,
      transaction_id: inGeneration(splitGeneration(event.transaction_id).base, plan.generationAfter(item)),
      original_transaction_id: refers ? this.#renewedReference(plan, client, original) : original,
      attributes: { ...event.attributes, [republishedBy]: this.#options.taskId },
    }
  }

  #renewedReference(plan: PartitionPlan, client: string, id: string): string {
    const { base } = splitGeneration(id)
    receiptKey(client, base, scratch)
    const item = plan.keys.find(scratch)
    return inGeneration(base, item < 0 ? this.#options.generations.of(scratch) : plan.generationAfter(item))
  }

  #publish(event: TransactionRecorded): void {
    const { encoder, ends } = this.#options
    const key = Buffer.from(event.client_id)
    this.#files.append(frame([{ number: this.#number++ }], partitionOf(key, ends.length), key, encoder.encode(event)))
  }
}

/** Attribute of a transaction that an undo published again: the id of its task. */
export const republishedBy = 'loyalty.republished_by'

const scratch = { hi: 0, lo: 0 }

function joined(parts: readonly BigUint64Array[]): Uint8Array {
  const keys = new BigUint64Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    keys.set(part, at)
    at += part.length
  }
  keys.sort()
  return new Uint8Array(keys.buffer)
}
