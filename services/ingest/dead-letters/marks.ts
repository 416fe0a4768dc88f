import type { Pool, PoolClient } from 'pg'

/** Which letters were dealt with, as bits in PostgreSQL: a million letters of one action are 250 rows of 512 bytes. */

export const blockLetters = 4_096
const blockBytes = blockLetters / 8

export type ActionKind = 'replay' | 'discard'

export interface Mark {
  readonly actionId: string
  readonly kind: ActionKind
}

interface MarkRow {
  block: string
  action_id: string
  kind: ActionKind
  bits: Buffer
}

/** What was done about the letters of some blocks of a partition. */
export class Marks {
  readonly #blocks = new Map<number, MarkRow[]>()

  constructor(rows: readonly MarkRow[]) {
    for (const row of rows) {
      const block = Number(row.block)
      const others = this.#blocks.get(block)
      if (others === undefined) this.#blocks.set(block, [row])
      else others.push(row)
    }
  }

  /** Null for a letter that is open. */
  of(offset: number): Mark | null {
    const rows = this.#blocks.get(Math.floor(offset / blockLetters))
    if (rows === undefined) return null
    const { byte, bit } = placeOf(offset)
    const row = rows.find(({ bits }) => (bits[byte]! & bit) !== 0)
    return row === undefined ? null : { actionId: row.action_id, kind: row.kind }
  }
}

/** Marks of the letters of a partition with offsets in [from, to). */
export async function readMarks(pool: Pool, partition: number, from: number, to: number): Promise<Marks> {
  const { rows } = await pool.query<MarkRow>(
    `select m.block, m.action_id, a.kind, m.bits
     from ingest.dead_letter_marks m join ingest.dead_letter_actions a using (action_id)
     where m.partition = $1 and m.block between $2 and $3`,
    [partition, Math.floor(from / blockLetters), Math.floor(Math.max(from, to - 1) / blockLetters)],
  )
  return new Marks(rows)
}

interface Block {
  readonly partition: number
  readonly block: number
  readonly bits: Buffer
}

/** The marks that one action makes. They count once `save` has committed. */
export class ActionMarks {
  readonly #actionId: string
  readonly #blocks = new Map<string, Block>()
  readonly #changed = new Set<Block>()

  constructor(actionId: string) {
    this.#actionId = actionId
  }

  /** What the action has marked already in the block of this letter, so that saving it again keeps that. */
  async open(pool: Pool, partition: number, offset: number): Promise<void> {
    const block = Math.floor(offset / blockLetters)
    const name = `${partition}:${block}`
    if (this.#blocks.has(name)) return
    // Letters come in order: blocks that are saved are not asked for again.
    for (const [key, known] of this.#blocks) if (!this.#changed.has(known)) this.#blocks.delete(key)
    const { rows } = await pool.query<{ bits: Buffer }>(
      'select bits from ingest.dead_letter_marks where partition = $1 and block = $2 and action_id = $3',
      [partition, block, this.#actionId],
    )
    this.#blocks.set(name, { partition, block, bits: rows[0]?.bits ?? Buffer.alloc(blockBytes) })
  }

  /** After `open` of the same letter. */
  add(partition: number, offset: number): void {
    const block = this.#blocks.get(`${partition}:${Math.floor(offset / blockLetters)}`)!
    const { byte, bit } = placeOf(offset)
    block.bits[byte]! |= bit
    this.#changed.add(block)
  }

  async save(client: PoolClient): Promise<void> {
    const blocks = [...this.#changed]
    if (blocks.length === 0) return
    await client.query(
      `insert into ingest.dead_letter_marks (partition, block, action_id, bits)
       select p, b, $1, bits from unnest($2::int[], $3::bigint[], $4::bytea[]) as t (p, b, bits)
       on conflict (partition, block, action_id) do update set bits = excluded.bits`,
      [
        this.#actionId,
        blocks.map(({ partition }) => partition),
        blocks.map(({ block }) => block),
        blocks.map(({ bits }) => bits),
      ],
    )
  }

  /** What was saved is kept by now. */
  saved(): void {
    this.#changed.clear()
  }
}

function placeOf(offset: number): { readonly byte: number; readonly bit: number } {
  const place = offset % blockLetters
  return { byte: place >> 3, bit: 1 << (place & 7) }
}
