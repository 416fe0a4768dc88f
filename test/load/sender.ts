import { Pace } from '#services/cli/generator/pace.ts'
import { tillItemOf } from '#services/cli/generator/till-item.ts'
import {
  type GeneratorCounts,
  type GeneratorOptions,
  generatorSystem,
  TransactionGenerator,
} from '#services/cli/generator/transactions.ts'
import { TillClient } from '#services/cli/till-client.ts'

export interface SendReport {
  readonly accepted: number
  readonly rejected: number
  /** How many were rejected, by code. */
  readonly codes: Readonly<Record<string, number>>
  /** Requests that were sent again: without an answer, or told to wait. */
  readonly retries: number
}

export interface SendOptions {
  readonly url: string
  /** Requests under way at once. */
  readonly connections: number
  /** Transactions per second; absent: as fast as they are taken. */
  readonly ratePerSecond?: number | undefined
  /** Hears how many were answered. */
  readonly onProgress: (transactions: number) => void
}

/**
 * Requests of the generator's traffic that lie ready before the first is sent: on a machine that runs the whole platform,
 * what tills do beforehand shall not be counted with it.
 */
export class PreparedTraffic {
  /** What the traffic consists of. */
  readonly counts: GeneratorCounts
  readonly #bodies: { readonly bytes: Uint8Array<ArrayBuffer>; readonly first: number }[] = []

  constructor(traffic: GeneratorOptions, batch: number) {
    const generator = new TransactionGenerator({ ...traffic, detailed: true })
    let items: unknown[] = []
    let first = 0
    const end = () => {
      if (items.length === 0) return
      this.#bodies.push({ bytes: Buffer.from(JSON.stringify(items)), first })
      first += items.length
      items = []
    }
    for (let event = generator.next(); event !== null; event = generator.next())
      if (items.push(tillItemOf(event)) === batch) end()
    end()
    this.counts = generator.counts
  }

  /** Sends all of it in its order, once. Errors: those of `TillClient.send`. */
  async send({ url, connections, ratePerSecond, onProgress }: SendOptions): Promise<SendReport> {
    const { signal } = new AbortController()
    const client = new TillClient({ url, system: generatorSystem, signal })
    const pace = new Pace(ratePerSecond ?? null)
    const codes: Record<string, number> = {}
    let [accepted, rejected] = [0, 0]
    const bodies = this.#bodies.values()
    const connection = async () => {
      for (const { bytes, first } of bodies) {
        await pace.due(first, signal)
        const delivery = await client.sendBody(bytes)
        accepted += delivery.accepted
        rejected += delivery.rejected
        for (const [code, count] of Object.entries(delivery.codes)) codes[code] = (codes[code] ?? 0) + count
        onProgress(accepted + rejected)
      }
    }
    await Promise.all(Array.from({ length: connections }, connection))
    return { accepted, rejected, codes, retries: client.retries }
  }
}
