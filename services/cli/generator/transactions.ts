import type { ReceiptLine, TransactionRecorded } from '#schemas/events.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { Random } from './random.ts'
import { Season } from './season.ts'
import { Weighted, zipfWeights } from './weighted.ts'

export interface GeneratorOptions {
  /** Events in all, repetitions included. */
  readonly events: number
  readonly clients: number
  /** How events are shared out among clients; default zipf. */
  readonly distribution?: 'zipf' | 'uniform'
  /** Of zipf; default 1.05. */
  readonly exponent?: number
  /** Equal options and seeds give equal events; default 1. */
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
  readonly source?: string
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
  source: 'pos:generator',
} as const

/** Sales that may still be refunded or voided. Few enough that a ledger of 4,096 entries still holds the original. */
const openSales = 16_384
/** How far back a till repeats itself. */
const recentEvents = 256
const dayMs = 86_400_000
const payments = ['card', 'card', 'card', 'cash', 'phone']
const categories = ['dresses', 'tops', 'jeans', 'outerwear', 'shoes', 'accessories', 'kids', 'school', 'home', 'sports']

interface OpenSale {
  readonly transactionId: string
  readonly clientId: string
  readonly storeId: string
  readonly amountMinor: number
  readonly occurredAtMs: number
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
  readonly #storeIds: string[]
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
    this.#storeIds = Array.from({ length: all.stores }, (_, i) => `store-${String(i + 1).padStart(3, '0')}`)
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
    const event = this.#event('SALE', this.#clientIds[client]!, occurredAtMs, amountMinor, null, this.#storeOf(client))
    this.counts.sales++
    if (late) this.counts.late++
    const open = {
      transactionId: event.transaction_id,
      clientId: event.client_id,
      storeId: event.store_id!,
      amountMinor,
      occurredAtMs,
    }
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

  #takeBack(sale: OpenSale, nowMs: number, voids: boolean): TransactionRecorded {
    const random = this.#random
    const occurredAtMs = Math.max(nowMs, sale.occurredAtMs + 1_000)
    const whole = voids || random.fraction() < 0.6
    const amountMinor = voids ? 0 : whole ? sale.amountMinor : 1 + random.below(sale.amountMinor)
    if (voids) this.counts.voids++
    else this.counts.refunds++
    return this.#event(
      voids ? 'VOID' : 'REFUND',
      sale.clientId,
      occurredAtMs,
      amountMinor,
      sale.transactionId,
      sale.storeId,
    )
  }

  /** Most purchases are made in the store next door. */
  #storeOf(client: number): string {
    const away = this.#random.fraction() < 0.2
    return this.#storeIds[away ? this.#random.below(this.#storeIds.length) : client % this.#storeIds.length]!
  }

  #event(
    kind: 'SALE' | 'REFUND' | 'VOID',
    clientId: string,
    occurredAtMs: number,
    amountMinor: number,
    originalId: string | null,
    storeId: string,
  ): TransactionRecorded {
    const { seed, currency, source, detailed } = this.#options
    const number = ++this.#sequence
    const lines = detailed && kind !== 'VOID' ? linesOf(this.#random, amountMinor) : []
    const sale = kind === 'SALE'
    return {
      transaction_id: `g${seed}-${number}`,
      client_id: clientId,
      kind,
      occurred_at: occurredAtMs,
      amount_minor: amountMinor,
      currency,
      source,
      store_id: storeId,
      terminal_id: detailed ? `${storeId}/${1 + (number % 4)}` : null,
      receipt_number: detailed ? String(number) : null,
      original_transaction_id: originalId,
      payment_method: detailed ? payments[number % payments.length]! : null,
      batch_id: null,
      items_count: detailed ? lines.reduce((sum, line) => sum + line.quantity, 0) : 1,
      categories: [...new Set(lines.map((line) => line.category!))],
      lines,
      discount_minor: 0,
      bonus_earned_minor: sale ? Math.floor(amountMinor / 100) : 0,
      bonus_spent_minor: 0,
      attributes: {},
    }
  }
}

/** One to four lines that add up to the amount. */
function linesOf(random: Random, amountMinor: number): ReceiptLine[] {
  const count = 1 + random.below(4)
  let left = amountMinor
  return Array.from({ length: count }, (_, i) => {
    const amount = i === count - 1 ? left : Math.floor((left * random.fraction()) / 2)
    left -= amount
    const article = random.below(2_000)
    const category = categories[article % categories.length]!
    const sku = `A${10_000 + article}`
    return { sku, description: null, category, quantity: 1 + random.below(2), amount_minor: amount }
  })
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
