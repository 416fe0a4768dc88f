import type { ReceiptSystem } from '#streams/domain/transaction-id.ts'

/** What a till sends: a sale of 12.50 by client c1; `changes` replaces fields, undefined leaves one out. */
export function tillSale(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    transaction_id: 't-1',
    client_id: 'c1',
    kind: 'SALE',
    occurred_at: '2011-03-01T12:30:00+00:00',
    amount_minor: 1_250,
    currency: 'GBP',
    ...changes,
  }
}

export function principalWith(system: Partial<ReceiptSystem> = {}) {
  return {
    system: { system: 'pos', identity: [], numbersCoverKinds: false, ...system },
    dayOf: (instantMs: number) => new Date(instantMs).toISOString().slice(0, 10),
  }
}

export interface TillAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: {
    readonly accepted?: number
    readonly rejected?: number
    readonly results?: readonly Record<string, unknown>[]
    readonly code?: string
    readonly message?: string
    readonly details?: Record<string, unknown>
    readonly trace_id?: string
  }
}

/** Posts to a door of a program, that of transactions unless `path` says otherwise; a body that is no text or bytes goes as JSON. */
export async function postTransactions(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
  path = '/api/v1/transactions',
): Promise<TillAnswer> {
  const raw = typeof body === 'string' || body instanceof Uint8Array || body instanceof ReadableStream
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    body: raw ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
    ...(body instanceof ReadableStream ? { duplex: 'half' as const } : {}),
  } as RequestInit)
  return { status: response.status, headers: response.headers, body: (await response.json()) as TillAnswer['body'] }
}

/** Master data of clients, likewise. */
export function postClients(url: string, body: unknown, headers: Record<string, string> = {}): Promise<TillAnswer> {
  return postTransactions(url, body, headers, '/api/v1/clients/import')
}
