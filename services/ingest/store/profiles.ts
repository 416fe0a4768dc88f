import type { Pool } from 'pg'
import type { AnyProfile } from '../profile.ts'

/** File profiles that people saved, in PostgreSQL, schema `ingest`. */

export interface SavedProfile {
  readonly profile: AnyProfile
  readonly savedAtMs: number
}

interface ProfileRow {
  profile: AnyProfile
  saved_at: Date
}

export class ProfileStore {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** By name, ascending. */
  async list(): Promise<SavedProfile[]> {
    const { rows } = await this.#pool.query<ProfileRow>(
      'select profile, saved_at from ingest.file_profiles order by name',
    )
    return rows.map(({ profile, saved_at }) => ({ profile, savedAtMs: saved_at.getTime() }))
  }

  /** Replaces one of the same name; true where there was none. */
  async save(profile: AnyProfile): Promise<boolean> {
    const { rows } = await this.#pool.query<{ created: boolean }>(
      `insert into ingest.file_profiles (name, profile) values ($1, $2)
       on conflict (name) do update set profile = excluded.profile, saved_at = current_timestamp
       returning xmax = 0 as created`,
      [profile.name, JSON.stringify(profile)],
    )
    return rows[0]!.created
  }

  /** False where there was none. */
  async remove(name: string): Promise<boolean> {
    const { rowCount } = await this.#pool.query('delete from ingest.file_profiles where name = $1', [name])
    return rowCount === 1
  }
}
