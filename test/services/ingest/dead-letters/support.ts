import { deadLetterRecord, type Original } from '#schemas/dead-letter.ts'
import { type Encodable, EventEncoder } from '#schemas/encoder.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import { partitionOf } from '#streams/core/partitioner.ts'
import type { Log, NewRecord } from '#streams/log/log.ts'
import { eventually } from '../../../support/eventually.ts'

export type Sale = Encodable<'TransactionRecorded'>

/** A record of a till, with the fields that a test does not care about filled in. */
export function saleOf(changes: Partial<Sale> = {}): Sale {
  return {
    transaction_id: 'pos:i=1',
    client_id: 'c1',
    kind: 'SALE',
    occurred_at: Date.UTC(2011, 2, 1, 12),
    amount_minor: 1_000,
    currency: 'GBP',
    source: 'pos:pos',
    ...changes,
  }
}

/** Ingest by which a programme in pounds begins. */
export const inPounds = {
  programme: { when: 'configure', profile: null },
  settings: { monetaryBasis: 'net', partitions: 2, ledgerCap: 4096, currency: 'GBP', timeZone: 'Europe/London' },
} as const

/** Publishes sales as a till over Kafka would: whatever is in them. */
export class Tills {
  readonly #log: Log
  readonly #topics: Topics
  readonly #encoder: EventEncoder<'TransactionRecorded'>
  readonly #partitions: number

  private constructor(log: Log, topics: Topics, schemaId: number, partitions: number) {
    this.#log = log
    this.#topics = topics
    this.#encoder = new EventEncoder('TransactionRecorded', schemaId)
    this.#partitions = partitions
  }

  static async open(log: Log, registry: Registry, topics: Topics, partitions: number): Promise<Tills> {
    const { TransactionRecorded: id } = await registerAll(registry, topics, ['TransactionRecorded'])
    return new Tills(log, topics, id, partitions)
  }

  encode(sale: Sale): Buffer {
    return Buffer.from(this.#encoder.encode(sale))
  }

  async send(...sales: Sale[]): Promise<void> {
    await this.raw(...sales.map((sale) => ({ key: Buffer.from(sale.client_id), value: this.encode(sale) })))
  }

  async raw(...records: (NewRecord & { readonly key: Buffer })[]): Promise<void> {
    const writer = this.#log.writer()
    const byPartition = Map.groupBy(records, ({ key }) => partitionOf(key, this.#partitions))
    for (const [partition, group] of byPartition) await writer.append(this.#topics.transactions, partition, group)
    await writer.close()
  }
}

/** A dead letter as the stream writes one; `original` replaces what is said of the record that was refused. */
export function letterOf(
  reason: Parameters<typeof deadLetterRecord>[1],
  value: Uint8Array | null,
  original: Partial<Original> & { readonly schemaId?: number | null; readonly detail?: string } = {},
): NewRecord {
  const { schemaId = null, detail = 'why', ...rest } = original
  const base = { topic: 'loyalty.transactions', partition: 0, offset: 7, timestampMs: 1_000, key: Buffer.from('c1') }
  return deadLetterRecord({ ...base, value, ...rest }, reason, detail, schemaId)
}

export async function call<Answer>(
  url: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ readonly status: number; readonly body: Answer }> {
  const response = await fetch(`${url}/api/v1/management/dead-letters${path}`, {
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    headers: { 'content-type': 'application/json', ...headers },
  })
  return { status: response.status, body: (await response.json()) as Answer }
}

export interface ActionAnswer {
  readonly action_id: string
  readonly kind: string
  readonly status: string
  readonly ordered_by: string | null
  readonly reason: string | null
  readonly counts: {
    readonly selected: number
    readonly replayed: number
    readonly discarded: number
    readonly left: Record<string, number>
    readonly still_invalid: Record<string, number>
  }
  readonly failure: { readonly code: string } | null
}

/** Orders over the API and waits for the end of it. */
export async function done(url: string, path: string, body: unknown, user?: string): Promise<ActionAnswer> {
  const headers: Record<string, string> = user === undefined ? {} : { 'loyalty-user': user }
  const ordered = await call<ActionAnswer>(url, path, body, headers)
  if (ordered.status !== 202) throw new Error(JSON.stringify(ordered.body))
  return ended(url, ordered.body.action_id)
}

export function ended(url: string, actionId: string): Promise<ActionAnswer> {
  return eventually(
    async () => {
      const { body } = await call<ActionAnswer>(url, `/actions/${actionId}`)
      return (body.status === 'COMPLETED' || body.status === 'FAILED') && body
    },
    { timeoutMs: 30_000, what: 'the end of the action' },
  )
}
