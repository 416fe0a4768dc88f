import { hasCode, LoyaltyError } from '../../core/error.ts'
import type { GroupOffsets, NewRecord, TransactionalWriter } from '../log.ts'
import { appendTransaction, checkSizes, PendingAppends } from './append.ts'
import type { Catalogue } from './catalogue.ts'
import type { Connections } from './connections.ts'
import { sqlState } from './errors.ts'

/** A transaction is held in memory until its commit; more than this is a mistake of the caller. */
const largestTransaction = 512 * 1024 * 1024

/**
 * A transaction is gathered in memory and becomes one SQL transaction in `commit`: before, nothing of it exists on the
 * server, so there is nothing to clean up after a writer that died, and locks are held shortly.
 *
 * ```
 * new ─ fence ─→ ready ─ append ─→ open ─ commit/abort ─→ ready          any error of append or commit ─→ closed
 * ```
 */
export class PostgresTransactionalWriter implements TransactionalWriter {
  private readonly connections: Connections
  private readonly catalogue: Catalogue
  private readonly transactionalId: string
  private epoch: number | undefined
  private pending: PendingAppends | undefined
  private closed = false

  constructor(connections: Connections, catalogue: Catalogue, transactionalId: string) {
    this.connections = connections
    this.catalogue = catalogue
    this.transactionalId = transactionalId
  }

  async fence(): Promise<void> {
    this.mustBeOpen()
    this.epoch = await this.nextEpoch()
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<void> {
    await this.closingOnError(async () => {
      const info = await this.catalogue.topic(topic, partition)
      checkSizes(info, partition, records)
      this.pending ??= new PendingAppends()
      this.pending.add(info, partition, records)
      if (this.pending.bytes > largestTransaction)
        throw new LoyaltyError(
          'log_transaction_too_large',
          `a transaction holds ${this.pending.bytes} bytes; commit earlier`,
        )
    })
  }

  async commit(groupOffsets?: GroupOffsets): Promise<void> {
    await this.closingOnError(async (epoch) => {
      const pending = this.pending
      this.pending = undefined
      if (pending === undefined && groupOffsets === undefined) return
      await appendTransaction(this.connections, this.catalogue, pending ?? new PendingAppends(), {
        epoch: { transactionalId: this.transactionalId, epoch },
        ...(groupOffsets === undefined ? {} : { groupOffsets }),
      })
    })
  }

  async abort(): Promise<void> {
    this.pending = undefined
  }

  async close(): Promise<void> {
    this.closed = true
    this.pending = undefined
  }

  /**
   * Waits for the row lock that a commit under the old epoch holds, so that commit is decided before this resolves. A
   * holder that was stopped in the middle is ended by the server's time-out, or by `endStoppedSenders`.
   */
  private async nextEpoch(): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      try {
        const rows = await this.connections.query<{ epoch: number }>(
          `INSERT INTO ${this.connections.table('writers')} AS w (transactional_id, epoch) VALUES ($1, 1)
           ON CONFLICT (transactional_id) DO UPDATE SET epoch = w.epoch + 1 RETURNING epoch`,
          [this.transactionalId],
        )
        return rows[0]!.epoch
      } catch (error) {
        if (attempt === 3 || sqlState((error as { cause?: unknown }).cause) !== '55P03') throw error
        await this.connections.endStoppedSenders()
      }
    }
  }

  private async closingOnError(work: (epoch: number) => Promise<void>): Promise<void> {
    this.mustBeOpen()
    if (this.epoch === undefined) throw new LoyaltyError('log_not_fenced', 'call fence() before the first transaction')
    try {
      await work(this.epoch)
    } catch (error) {
      if (!hasCode(error, 'log_closed')) await this.close()
      throw error
    }
  }

  private mustBeOpen(): void {
    if (this.closed) throw new LoyaltyError('log_closed', 'the writer was closed; make a new one and fence')
  }
}
