import { LoyaltyError } from '#streams/core/error.ts'
import { isOfClients } from './clients/profile.ts'
import { type AnyProfile, type FileProfile, listProfiles, loadAnyProfile, parseAnyProfile } from './profile.ts'
import type { ProfileStore } from './store/profiles.ts'

/** A file profile that has a name: one that ships with the product, or one that somebody saved. */
export interface KnownProfile {
  readonly profile: AnyProfile
  readonly saved: boolean
  /** Null for one that ships. */
  readonly savedAtMs: number | null
}

/** All file profiles that are known by a name. */
export class ProfileBook {
  readonly #store: Pick<ProfileStore, 'list' | 'save' | 'remove'> | null
  readonly #directory: string | undefined

  /** Without a store there are only those that ship; `directory` is theirs where it is not the usual one. */
  constructor(store: Pick<ProfileStore, 'list' | 'save' | 'remove'> | null, directory?: string) {
    this.#store = store
    this.#directory = directory
  }

  /** Those that ship first, each kind by name. Errors: `profile_invalid` for one that this version cannot read. */
  async all(): Promise<KnownProfile[]> {
    const saved = (await this.#store?.list()) ?? []
    return [
      ...this.#shipped().map((profile) => ({ profile, saved: false, savedAtMs: null })),
      ...saved.map(({ profile, savedAtMs }) => ({
        profile: parseAnyProfile(profile, profile.name),
        saved: true,
        savedAtMs,
      })),
    ]
  }

  /** Errors: `profile_unknown` (the message lists the known names), `profile_invalid`. */
  async named(name: string): Promise<KnownProfile> {
    const all = await this.all()
    const found = all.find(({ profile }) => profile.name === name)
    if (found !== undefined) return found
    const known = all.map(({ profile }) => profile.name)
    throw new LoyaltyError('profile_unknown', `there is no file profile "${name}"; known: ${known.join(', ')}`, {
      details: { name, known },
    })
  }

  /**
   * Saves a profile under its name; true where it is new. Errors: `profile_shipped` (the name is taken by one that ships),
   * `profile_key_differs` (another profile of the same system declares another key of its receipts).
   */
  async save(profile: AnyProfile): Promise<boolean> {
    this.#refuseShipped(profile.name, 'save it under another name')
    if (!isOfClients(profile)) await this.#refuseOtherKey(profile)
    return this.#saved().save(profile)
  }

  /** Errors: `profile_shipped`, `profile_not_found`. */
  async remove(name: string): Promise<void> {
    this.#refuseShipped(name, 'it cannot be deleted')
    if (!(await this.#saved().remove(name)))
      throw new LoyaltyError('profile_not_found', `there is no saved file profile "${name}"`, { details: { name } })
  }

  #shipped(): AnyProfile[] {
    return listProfiles(this.#directory).map((name) => loadAnyProfile(name, this.#directory))
  }

  async #refuseOtherKey(profile: FileProfile): Promise<void> {
    for (const { profile: other } of await this.all()) {
      if (isOfClients(other) || other.name === profile.name) continue
      if (other.system.name === profile.system.name && keyOf(other) !== keyOf(profile))
        throw new LoyaltyError(
          'profile_key_differs',
          `profile ${other.name} is of the same system "${other.system.name}" and identifies its receipts by ${keyOf(other)}, ` +
            `this one by ${keyOf(profile)}: the same receipt would count twice; let both say the same, or name another system`,
          { details: { system: other.system.name, profile: other.name } },
        )
    }
  }

  #refuseShipped(name: string, remedy: string): void {
    if (listProfiles(this.#directory).includes(name))
      throw new LoyaltyError('profile_shipped', `the file profile "${name}" ships with the product; ${remedy}`, {
        details: { name },
      })
  }

  #saved(): Pick<ProfileStore, 'save' | 'remove'> {
    if (this.#store !== null) return this.#store
    throw new LoyaltyError('store_unavailable', 'there is no database to keep profiles in', { retriable: true })
  }
}

/** What the ids of a system's receipts depend on. */
function keyOf({ system }: FileProfile): string {
  const parts = [...system.identity].sort()
  const key = parts.length === 0 ? 'their content' : parts.join(', ')
  return system.numbers_cover_kinds ? `${key} (numbers of all kinds together)` : key
}
