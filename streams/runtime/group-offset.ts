import type { TransactionalWriter } from '../log/log.ts'
import type { Running } from './task-parts.ts'

/** How far behind the position a group offset may be. */
const tellEveryMs = 1_000

/**
 * When a task tells the log's group where it is. That is for lag tools: the blocks hold the truth. On Kafka it costs as
 * much as all the rest of a small transaction, so that only one step a second takes it along, and a task without work
 * tells what is left. It is told within a transaction and thus never ahead of what was committed.
 */
export class GroupOffset {
  readonly #group: string
  readonly #topic: string
  readonly #partition: number
  #told: number | null
  #toldAt = Number.NEGATIVE_INFINITY

  /** `offset` is what the group was told before; null where that is not known. */
  constructor(group: string, topic: string, partition: number, offset: number | null) {
    this.#group = group
    this.#topic = topic
    this.#partition = partition
    this.#told = offset
  }

  /** Whether the next commit tells it. */
  get due(): boolean {
    return performance.now() - this.#toldAt >= tellEveryMs
  }

  /** Commits the writer's transaction with the offset in it. Errors: those of `TransactionalWriter.commit`. */
  async tell(writer: TransactionalWriter, offset: number): Promise<void> {
    await writer.commit({ group: this.#group, topic: this.#topic, offsets: new Map([[this.#partition, offset]]) })
    this.#told = offset
    this.#toldAt = performance.now()
  }

  /** Milliseconds after which a task that stays at this offset tells it; infinite where it was told. */
  leftMs(offset: number): number {
    if (this.#told === offset) return Number.POSITIVE_INFINITY
    return Math.max(0, this.#toldAt + tellEveryMs - performance.now())
  }
}

/** Tells where a task is that has nothing to commit besides. Errors: those of `TransactionalWriter.commit`. */
export async function tellGroup({ writer, groupOffset, position }: Running<unknown>): Promise<void> {
  if (groupOffset.leftMs(position.transactions) < Number.POSITIVE_INFINITY)
    await groupOffset.tell(writer, position.transactions)
}
