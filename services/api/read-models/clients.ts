import type { Pool } from 'pg'

/** A row of `projector.clients` as the API reads it; sums of money as text, since they are 64-bit. */
export interface ClientRow {
  readonly client_id: string
  readonly name: string | null
  readonly email: string | null
  readonly phone: string | null
  readonly gender: string | null
  readonly city: string | null
  readonly birth_date: string | null
  readonly registered_at: Date | null
  readonly first_purchase: string | null
  readonly last_purchase: string | null
  readonly frequency: number
  readonly gross_minor: string
  readonly net_minor: string
  readonly r_score: number | null
  readonly f_score: number | null
  readonly m_score: number | null
  readonly rfm_score: string | null
  readonly segment_id: string | null
  readonly segment_name: string | null
  readonly segment_description: string | null
  readonly loyalty_score: number | null
  readonly model_id: string | null
  readonly model_version: string | null
  /** Whether a transaction of the client was ever accepted, as against a profile alone. */
  readonly known_to_stream: boolean
}

/** One client with the parts of its profile that lists leave out; null where no profile was taken in, or it was erased. */
export interface ClientDetailsRow extends ClientRow {
  readonly communication_preferences: Readonly<Record<string, boolean>> | null
  readonly attributes: Readonly<Record<string, string>> | null
  /** Earned less spent in all transactions. */
  readonly bonus_minor: string
  /** The balance at a moment; null where nobody said. */
  readonly opening_bonus_minor: string | null
  readonly opening_bonus_at: Date | null
}

const columns = `c.client_id, c.name, c.email, c.phone, c.gender, c.city, c.birth_date::text, c.registered_at,
  c.first_purchase_day::text AS first_purchase, c.last_purchase_day::text AS last_purchase, c.frequency,
  c.monetary_gross_minor AS gross_minor, c.monetary_net_minor AS net_minor,
  c.r_score, c.f_score, c.m_score, c.rfm_score,
  c.segment AS segment_id, s.segment_name, s.description AS segment_description, c.loyalty_score,
  c.model_id, c.model_version, c.version > 0 AS known_to_stream`

const source = 'projector.clients c LEFT JOIN projector.loyalty_segments s ON s.segment_id = c.segment'

export interface ClientQuery {
  readonly skip: number
  readonly limit: number
  readonly segmentId?: string | undefined
  /** Beginning of the client id, the whole e-mail address or phone number, or a part of the name. */
  readonly search?: string | undefined
}

/** Clients in the order of their ids. */
export async function listClients(pool: Pool, query: ClientQuery): Promise<ClientRow[]> {
  const params: unknown[] = [query.limit, query.skip]
  const conditions: string[] = []
  if (query.segmentId !== undefined) conditions.push(`c.segment = $${params.push(query.segmentId)}`)
  if (query.search !== undefined && query.search !== '') {
    const exact = `$${params.push(query.search)}`
    const prefix = `$${params.push(`${escapeLike(query.search)}%`)}`
    const part = `$${params.push(`%${escapeLike(query.search)}%`)}`
    conditions.push(
      `(c.client_id LIKE ${prefix} OR lower(c.email) = lower(${exact}) OR c.phone = ${exact} OR c.name ILIKE ${part})`,
    )
  }
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  const sql = `SELECT ${columns} FROM ${source} ${where} ORDER BY c.client_id LIMIT $1 OFFSET $2`
  return (await pool.query<ClientRow>(sql, params)).rows
}

export async function findClient(pool: Pool, clientId: string): Promise<ClientDetailsRow | null> {
  const { rows } = await pool.query<ClientDetailsRow>(
    `SELECT ${columns}, c.communication_preferences, c.attributes, c.bonus_earned_minor - c.bonus_spent_minor AS bonus_minor,
       c.opening_bonus_minor, c.opening_bonus_at FROM ${source} WHERE c.client_id = $1`,
    [clientId],
  )
  return rows[0] ?? null
}

/**
 * Every client in the order of the ids, in pages, so that any number of clients takes little memory.
 *
 * The pages are read one after the other: a client that changes meanwhile shows up once, old or new.
 */
export async function* everyClient(pool: Pool, pageSize = 5_000): AsyncGenerator<ClientRow[]> {
  for (let after: string | null = null; ; ) {
    const { rows }: { rows: ClientRow[] } = await pool.query<ClientRow>(
      `SELECT ${columns} FROM ${source} WHERE $2::text IS NULL OR c.client_id > $2 ORDER BY c.client_id LIMIT $1`,
      [pageSize, after],
    )
    if (rows.length > 0) yield rows
    if (rows.length < pageSize) return
    after = rows.at(-1)!.client_id
  }
}

function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, (character) => `\\${character}`)
}
