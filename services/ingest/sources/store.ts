import type { Pool, PoolClient } from 'pg'
import type { Status } from '../store/uploads.ts'
import type { Offer } from './source.ts'

/** What sources have given, in PostgreSQL, schema `ingest`. */

/** A file taken that is not yet out of the way, and how its upload stands; null where it was refused. */
export interface TakenFile {
  readonly fileName: string
  readonly version: string
  readonly status: Status | null
  readonly errorCode: string | null
  readonly errorMessage: string | null
}

export interface SourceState {
  readonly lastRunMs: number | null
  readonly watermark: string | null
  readonly errorCode: string | null
  readonly errorMessage: string | null
}

export class SourceStore {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /**
   * Runs `work` where no other program works on the source; false where one does. The lock is that of a connection, so it
   * ends with the program.
   */
  async alone(source: string, work: () => Promise<void>): Promise<boolean> {
    const client = await this.#pool.connect()
    client.on('error', () => {})
    try {
      const { rows } = await client.query<{ locked: boolean }>(
        `select pg_try_advisory_lock(hashtextextended('loyalty.ingest.source.' || $1, 0)) as locked`,
        [source],
      )
      if (!rows[0]!.locked) return false
      await work()
      return true
    } finally {
      client.release(true)
    }
  }

  async state(source: string): Promise<SourceState> {
    const { rows } = await this.#pool.query<{
      watermark: string | null
      last_run_at: Date | null
      last_error_code: string | null
      last_error_message: string | null
    }>('select * from ingest.sources where name = $1', [source])
    const row = rows[0]
    return {
      lastRunMs: row?.last_run_at?.getTime() ?? null,
      watermark: row?.watermark ?? null,
      errorCode: row?.last_error_code ?? null,
      errorMessage: row?.last_error_message ?? null,
    }
  }

  async ran(source: string, error: { code: string; message: string } | null): Promise<void> {
    await this.#pool.query(
      `insert into ingest.sources (name, last_run_at, last_error_code, last_error_message)
       values ($1, current_timestamp, $2, $3)
       on conflict (name) do update set last_run_at = current_timestamp, last_error_code = $2, last_error_message = $3`,
      [source, error?.code, error?.message],
    )
  }

  /** Every file taken that is not out of the way yet, oldest first. */
  async taken(source: string): Promise<TakenFile[]> {
    const { rows } = await this.#pool.query<{
      file_name: string
      version: string
      status: Status | null
      error_code: string | null
      error_message: string | null
    }>(
      `select f.file_name, f.version, t.status, coalesce(f.error_code, t.error_code) as error_code,
         coalesce(f.error_message, t.error_message) as error_message
       from ingest.source_files f left join ingest.tasks t on t.task_id = f.task_id
       where f.source = $1 order by f.taken_at, f.file_name`,
      [source],
    )
    return rows.map((row) => ({
      fileName: row.file_name,
      version: row.version,
      status: row.status,
      errorCode: row.error_code,
      errorMessage: row.error_message,
    }))
  }

  /** For the transaction that writes the upload: the file is taken if, and only if, there is one. */
  take(source: string, { fileName, version }: Offer, taskId: string, watermark: string | null) {
    return async (client: PoolClient): Promise<void> => {
      if (watermark !== null)
        await client.query(
          `insert into ingest.sources (name, watermark) values ($1, $2)
           on conflict (name) do update set watermark = $2`,
          [source, watermark],
        )
      await client.query(
        'insert into ingest.source_files (source, file_name, version, task_id) values ($1, $2, $3, $4)',
        [source, fileName, version, taskId],
      )
    }
  }

  async refuse(source: string, { fileName, version }: Offer, error: { code: string; message: string }): Promise<void> {
    await this.#pool.query(
      `insert into ingest.source_files (source, file_name, version, error_code, error_message)
       values ($1, $2, $3, $4, $5) on conflict do nothing`,
      [source, fileName, version, error.code, error.message],
    )
  }

  async forget(source: string, { fileName, version }: Pick<TakenFile, 'fileName' | 'version'>): Promise<void> {
    await this.#pool.query('delete from ingest.source_files where source = $1 and file_name = $2 and version = $3', [
      source,
      fileName,
      version,
    ])
  }
}
