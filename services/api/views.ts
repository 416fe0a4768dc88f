import type { z } from '@hono/zod-openapi'
import { dayOfIso, isoOfDay } from '#streams/domain/calendar.ts'
import type { Context } from '#streams/domain/context.ts'
import type { ClientDetailsRow, ClientRow } from './read-models/clients.ts'
import type { HistoryEntry } from './read-models/history.ts'
import type { clientDetailsSchema, clientDisplaySchema, historyEntrySchema } from './schemas.ts'

/** Rows of the read models as the API shows them. */

export function displayOf(row: ClientRow): z.input<typeof clientDisplaySchema> {
  return {
    client_id: row.client_id,
    full_name: row.name,
    loyalty_segment: row.segment_id === null ? null : segmentOf(row.segment_id, row),
    loyalty_score: row.loyalty_score,
    rfm_score: row.rfm_score,
    frequency: row.frequency,
    monetary_net_minor: Number(row.net_minor),
    last_purchase: row.last_purchase,
  }
}

function segmentOf(segmentId: string, row: ClientRow) {
  return { segment_id: segmentId, name: row.segment_name ?? segmentId }
}

/** What only ClickHouse knows; null where it does not answer. */
export interface FromTransactions {
  readonly history: readonly HistoryEntry[] | null
  readonly bonusMinor: number | null
}

export function detailsOf(
  row: ClientDetailsRow,
  { history, bonusMinor }: FromTransactions,
  context: Context,
): z.input<typeof clientDetailsSchema> {
  const { programme, cutPoints } = context
  // M is scored on the basis of the cut-points in force, which need not be the programme's.
  const basis = cutPoints?.basis ?? programme?.monetaryBasis ?? 'net'
  const amountMinor = Number(basis === 'net' ? row.net_minor : row.gross_minor)
  return {
    client_id: row.client_id,
    full_name: row.name,
    email: row.email,
    phone_number: row.phone,
    gender: row.gender,
    city: row.city,
    birth_date: row.birth_date,
    registered_at: row.registered_at?.toISOString() ?? null,
    communication_preferences: row.communication_preferences,
    attributes: row.attributes,
    loyalty_segment:
      row.segment_id === null
        ? null
        : { ...segmentOf(row.segment_id, row), description: row.segment_description ?? '' },
    loyalty_score: row.loyalty_score,
    rfm_score: row.rfm_score,
    rfm_values: {
      recency: recencyOf(row.last_purchase, context),
      frequency: row.frequency,
      monetary: amountMinor / 10 ** minorDigits(programme?.currency),
      monetary_gross_minor: Number(row.gross_minor),
      monetary_net_minor: Number(row.net_minor),
      basis,
      r: row.r_score,
      f: row.f_score,
      m: row.m_score,
    },
    currency: programme?.currency ?? null,
    bonus_balance_minor: bonusMinor,
    first_purchase: row.first_purchase,
    last_purchase: row.last_purchase,
    model: modelOf(context),
    as_of: asOfIso(context),
    transaction_history: (history ?? []).map(entryOf),
    degraded: [
      ...(history === null ? (['transaction_history'] as const) : []),
      ...(bonusMinor === null ? (['bonus_balance_minor'] as const) : []),
    ],
  }
}

function entryOf(entry: HistoryEntry): z.input<typeof historyEntrySchema> {
  return {
    transaction_id: entry.transactionId,
    kind: entry.kind,
    occurred_at: new Date(entry.occurredAtMs).toISOString(),
    amount_minor: entry.amountMinor,
    receipt_number: entry.receiptNumber,
    store_id: entry.storeId,
    original_transaction_id: entry.originalTransactionId,
    items_count: entry.itemsCount,
    source: entry.source,
  }
}

/** Calendar days from a client's last purchase to the programme's date; null before the first date. */
export function recencyOf(lastPurchase: string | null, { asOf }: Context): number | null {
  return lastPurchase === null || asOf.date === null ? null : asOf.date - dayOfIso(lastPurchase)
}

/** The programme's date, ISO; null before the first. */
export function asOfIso({ asOf }: Context): string | null {
  return asOf.date === null ? null : isoOfDay(asOf.date)
}

export function modelOf({ model }: Context): { model_name: string; version: string } | null {
  return model === null ? null : { model_name: model.id, version: model.version }
}

function minorDigits(currency: string | undefined): number {
  if (currency === undefined) return 2
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
}
