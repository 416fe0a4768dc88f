import { LoyaltyError } from '#streams/core/error.ts'
import { Calendar, isoOfDay } from '#streams/domain/calendar.ts'
import type { ReceiptSystem } from '#streams/domain/transaction-id.ts'
import { isOfClients } from '../clients/profile.ts'
import { zoneOffsets } from '../parse/zone.ts'
import type { FileProfile } from '../profile.ts'
import type { ProfileBook } from '../profile-book.ts'

/** On whose behalf transactions are sent. */
export interface Principal {
  /** The system that the transactions are of, with the key that it declares of its receipts. */
  readonly system: ReceiptSystem
  /** ISO date of an instant where the system is; only asked where days are part of its key. */
  readonly dayOf: (instantMs: number) => string
}

/** Names the system that a request speaks for. */
export const systemHeader = 'loyalty-system'
/** The system of a request that names none. It declares no key, so that its transactions need an id each. */
export const defaultSystem = 'pos'

const systemName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const keptMs = 10_000

/**
 * Who sends a request. A system's key is declared by the file profiles of the same system, if there are any: that makes a
 * receipt that comes through both doors one transaction.
 */
export class Principals {
  readonly #profiles: Pick<ProfileBook, 'all'>
  #declared: ReadonlyMap<string, Principal> = new Map()
  #readMs = Number.NEGATIVE_INFINITY
  #reading: Promise<ReadonlyMap<string, Principal>> | null = null

  constructor(profiles: Pick<ProfileBook, 'all'>) {
    this.#profiles = profiles
  }

  /** Errors: `system_invalid`; `profile_invalid`, `store_unavailable`: the keys declared cannot be read. */
  async of(header: (name: string) => string | undefined): Promise<Principal> {
    const name = header(systemHeader)?.trim() || defaultSystem
    if (!systemName.test(name))
      throw new LoyaltyError(
        'system_invalid',
        `the header ${systemHeader} names no system; send up to 64 letters, digits, dots, dashes and underscores`,
      )
    return (await this.#declarations()).get(name) ?? undeclared(name)
  }

  async #declarations(): Promise<ReadonlyMap<string, Principal>> {
    if (performance.now() - this.#readMs < keptMs) return this.#declared
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null
    })
    return this.#reading
  }

  /** Where the profiles cannot be read now, those read before stay in force: tills need the log, not the database. */
  async #read(): Promise<ReadonlyMap<string, Principal>> {
    try {
      const profiles = await this.#profiles.all()
      this.#declared = declarations(profiles.flatMap(({ profile }) => (isOfClients(profile) ? [] : [profile])))
    } catch (cause) {
      if (cause instanceof LoyaltyError) throw cause
      if (!Number.isFinite(this.#readMs))
        throw new LoyaltyError('store_unavailable', 'the keys of systems cannot be read; try again in a moment', {
          retriable: true,
          cause,
        })
    }
    this.#readMs = performance.now()
    return this.#declared
  }
}

function undeclared(name: string): Principal {
  return { system: { system: name, identity: [], numbersCoverKinds: false }, dayOf: () => '' }
}

function declarations(profiles: readonly FileProfile[]): Map<string, Principal> {
  const found = new Map<string, Principal>()
  for (const { system: declared, time_zone: timeZone } of profiles) {
    const { identity, numbers_cover_kinds: numbersCoverKinds } = declared
    const system = { system: declared.name, identity, numbersCoverKinds }
    const before = found.get(declared.name)
    if (before !== undefined && keyText(before.system) !== keyText(system))
      throw new LoyaltyError(
        'profile_invalid',
        `the file profiles of system "${declared.name}" declare different keys of its receipts; let all declare one`,
      )
    const calendar = new Calendar(identity.includes('day') ? zoneOffsets(timeZone) : [])
    found.set(declared.name, { system, dayOf: (instantMs) => isoOfDay(calendar.dayOf(instantMs)) })
  }
  return found
}

function keyText({ identity, numbersCoverKinds }: ReceiptSystem): string {
  return `${[...identity].sort()} ${numbersCoverKinds}`
}
