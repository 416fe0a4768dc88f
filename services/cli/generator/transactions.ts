import type { ReceiptLine, TransactionRecorded } from '#schemas/events.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { linesOf } from './lines.ts'
import { Random } from './random.ts'
import { Season } from './season.ts'
import { Stores } from './stores.ts'
import { Weighted, zipfWeights } from './weighted.ts'

export interface GeneratorOptions {
  /** Events in all, repetitions included. */
  readonly events: number
  readonly clients: number
  /** How events are shared out among clients; default zipf. */
  readonly distribution?: 'zipf' | 'uniform'
  /** Of zipf; default 1.05. */
  readonly exponent?: number
  /** Equal options and seeds give equal events, other ones give other receipts; default 1. */
  readonly seed?: number
  /** First local day of trade, days since 1970-01-01; default 2024-01-01. */
  readonly firstDay?: number
  readonly days?: number
  /** Local time less UTC, default 180 (Moscow). */
  readonly utcOffsetMinutes?: number
  readonly currency?: string
  readonly stores?: number
  /** Shares of all events. Late: recorded up to three days after it happened. */
  readonly refundShare?: number
  readonly voidShare?: number
  readonly duplicateShare?: number
  readonly lateShare?: number
  /** Whether events carry terminal, receipt number, payment, categories and lines; default true. */
  readonly detailed?: boolean
}

export interface GeneratorCounts {
  sales: number
  refunds: number
  voids: number
  duplicates: number
  late: number
  /** Different clients so far. */
  clients: number
}

const defaults = {
  distribution: 'zipf',
  exponent: 1.05,
  seed: 1,
  firstDay: 19_723,
  days: 365,
  utcOffsetMinutes: 180,
  currency: 'RUB',
  stores: 25,
  refundShare: 0.03,
  voidShare: 0.005,
  duplicateShare: 0.01,
  lateShare: 0.02,
  detailed: true,
} as const

/** The system that generated receipts are of, as its file profile `generated` declares it: their number identifies them. */
export const generatorSystem = 'generator'
const idPrefix = `${generatorSystem}:r=`

/** Sales that may still be refunded or voided. Few enough that a ledger of 4,096 entries still holds the original. */
const openSales = 16_384
/** How far back a till repeats itself. */
const recentEvents = 256
const dayMs = 86_400_000
const payments = ['card', 'card', 'card', 'cash', 'phone']

interface OpenSale {
  readonly transactionId: string
  readonly clientId: string
  readonly store: number
  readonly amountMinor: number
  readonly occurredAtMs: number
  readonly lines: readonly ReceiptLine[]
}

/**
 * Believable traffic of a retailer in the order of arrival: `next()` until it answers null, or iterate. Every refund and
 * void names a sale of the same client that came before it, and each sale has at most one of them.
 */
export class TransactionGenerator implements Iterable<TransactionRecorded> {
  readonly counts: GeneratorCounts = { sales: 0, refunds: 0, voids: 0, duplicates: 0, late: 0, clients: 0 }
  readonly #options: Required<GeneratorOptions>
  readonly #random: Random
  readonly #season: Season
  readonly #popularity: Weighted | null
  readonly #clientIds: string[]
  readonly #seen: Uint8Array
  readonly #stores: Stores
  /** Begins every receipt number: other options make other receipts. */
  readonly #series: string
  readonly #open: (OpenSale | null)[] = []
  readonly #recent: TransactionRecorded[] = []
  #emitted = 0
  #sequence = 0

  /** Errors: `generator_options` (a count or share that makes no sense). */
  constructor(options: GeneratorOptions) {
    const all = { ...defaults, ...options }
    check(all)
    const offsetMs = all.utcOffsetMinutes * 60_000
    this.#options = all
    this.#random = new Random(all.seed)
    this.#season = new Season(all.events, all.firstDay * dayMs - offsetMs, all.days, offsetMs)
    this.#popularity = all.distribution === 'zipf' ? new Weighted(zipfWeights(all.clients, all.exponent)) : null
    this.#clientIds = clientIds(all.clients)
    this.#seen = new Uint8Array(all.clients)
    this.#stores = new Stores(all.stores, all.clients, all.seed)
    this.#series = seriesOf(all)
  }

  *[Symbol.iterator](): Iterator<TransactionRecorded> {
    for (let event = this.next(); event !== null; event = this.next()) yield event
  }

  next(): TransactionRecorded | null {
    if (this.#emitted === this.#options.events) return null
    this.#emitted++
    const nowMs = this.#season.nextMs(this.#random)
    const dice = this.#random.fraction()
    const { duplicateShare, refundShare, voidShare } = this.#options
    if (dice < duplicateShare && this.#recent.length > 0) {
      this.counts.duplicates++
      return this.#recent[this.#random.below(this.#recent.length)]!
    }
    const wanted = dice < duplicateShare + refundShare + voidShare ? this.#drawOpenSale() : null
    const voids = dice >= duplicateShare + refundShare
    const event = wanted === null ? this.#sale(nowMs) : this.#takeBack(wanted, nowMs, voids)
    if (this.#recent.length < recentEvents) this.#recent.push(event)
    else this.#recent[this.#sequence % recentEvents] = event
    return event
  }

  #sale(nowMs: number): TransactionRecorded {
    const random = this.#random
    const { clients, lateShare } = this.#options
    const client = this.#popularity === null ? random.below(clients) : this.#popularity.draw(random)
    if (this.#seen[client] === 0) this.counts.clients++
    this.#seen[client] = 1
    const late = random.fraction() < lateShare
    const occurredAtMs = late ? nowMs - 60_000 * (60 + random.below(3 * 24 * 60)) : nowMs
    const amountMinor = Math.round(Math.exp(11.8 + 0.8 * random.normal()))
    const clientId = this.#clientIds[client]!
    const store = this.#stores.visitedBy(client, random)
    const lines = this.#options.detailed ? linesOf(random, amountMinor) : []
    const event = this.#event({ kind: 'SALE', clientId, store, occurredAtMs, amountMinor, originalId: null, lines })
    this.counts.sales++
    if (late) this.counts.late++
    const open = { transactionId: event.transaction_id, clientId, store, amountMinor, occurredAtMs, lines }
    this.#open[this.counts.sales % openSales] = open
    return event
  }

  /** One of the last sales, which is open no longer; null where a few tries find none. */
  #drawOpenSale(): OpenSale | null {
    for (let tries = 0; tries < 4 && this.#open.length > 0; tries++) {
      const index = this.#random.below(this.#open.length)
      const sale = this.#open[index] ?? null
      this.#open[index] = null
      if (sale !== null) return sale
    }
    return null
  }

  /** A void repeats the lines of its sale, as does a refund of the whole. */
  #takeBack(sale: OpenSale, nowMs: number, voids: boolean): TransactionRecorded {
    const random = this.#random
    const { clientId, store, transactionId: originalId } = sale
    const occurredAtMs = Math.max(nowMs, sale.occurredAtMs + 1_000)
    if (voids) {
      this.counts.voids++
      const { lines } = sale
      return this.#event({ kind: 'VOID', clientId, store, occurredAtMs, amountMinor: 0, originalId, lines })
    }
    this.counts.refunds++
    const whole = random.fraction() < 0.6
    const amountMinor = whole ? sale.amountMinor : 1 + random.below(sale.amountMinor)
    const lines = whole ? sale.lines : this.#options.detailed ? linesOf(random, amountMinor) : []
    return this.#event({ kind: 'REFUND', clientId, store, occurredAtMs, amountMinor, originalId, lines })
  }

  #event(made: {
    readonly kind: 'SALE' | 'REFUND' | 'VOID'
    readonly clientId: string
    readonly store: number
    readonly occurredAtMs: number
    readonly amountMinor: number
    readonly originalId: string | null
    readonly lines: readonly ReceiptLine[]
  }): TransactionRecorded {
    const { currency, detailed } = this.#options
    const { lines } = made
    const number = ++this.#sequence
    const receipt = `${this.#series}-${number}`
    return {
      transaction_id: `${idPrefix}${receipt}`,
      client_id: made.clientId,
      kind: made.kind,
      occurred_at: made.occurredAtMs,
      amount_minor: made.amountMinor,
      currency,
      source: `pos:${generatorSystem}`,
      store_id: this.#stores.idOf(made.store),
      terminal_id: detailed ? this.#stores.tillOf(made.store, number) : null,
      receipt_number: detailed ? receipt : null,
      original_transaction_id: made.originalId,
      payment_method: detailed ? payments[number % payments.length]! : null,
      batch_id: null,
      items_count: detailed ? lines.reduce((sum, line) => sum + line.quantity, 0) : 1,
      categories: [...new Set(lines.map((line) => line.category!))],
      lines: [...lines],
      discount_minor: 0,
      bonus_earned_minor: 0,
      bonus_spent_minor: 0,
      attributes: {},
    }
  }
}

/** The receipt number in the id of a generated transaction. */
export function receiptOf(transactionId: string): string {
  return transactionId.slice(idPrefix.length)
}

/** A short name of a set of options (FNV-1a). */
function seriesOf(options: Required<GeneratorOptions>): string {
  let hash = 0x811c9dc5
  const text = JSON.stringify(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)))
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0).toString(36)
}

/** Ids in an order that says nothing about popularity. */
function clientIds(count: number): string[] {
  const width = Math.max(6, String(count).length)
  // A prime above any count permutes the ranks; it shares no factor with them.
  const ids = new Array<string>(count)
  for (let rank = 0; rank < count; rank++)
    ids[rank] = `c${String((rank * 15_485_863 + 7) % count).padStart(width, '0')}`
  return ids
}

function check(options: Required<GeneratorOptions>): void {
  const whole = (name: 'events' | 'clients' | 'days' | 'stores', most: number) => {
    if (!Number.isInteger(options[name]) || options[name] < 1 || options[name] > most)
      throw new LoyaltyError('generator_options', `${name} must be a whole number from 1 to ${most}`)
  }
  whole('events', 1e9)
  whole('clients', 15_000_000)
  whole('days', 3_660)
  whole('stores', 10_000)
  const shares = ['refundShare', 'voidShare', 'duplicateShare', 'lateShare'] as const
  const sum = options.refundShare + options.voidShare + options.duplicateShare
  if (sum > 0.9 || shares.some((name) => !(options[name] >= 0 && options[name] <= 0.9)))
    throw new LoyaltyError('generator_options', `${shares.join(', ')} must lie between 0 and 0.9, also together`)
}
