import { LoyaltyError } from '#streams/core/error.ts'
import { Calendar, isoOfDay } from '#streams/domain/calendar.ts'
import type { ReceiptSystem } from '#streams/domain/transaction-id.ts'
import { zoneOffsets } from '../parse/zone.ts'
import { listProfiles, loadProfile } from '../profile.ts'

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
  readonly #directory: string | undefined
  #declared: ReadonlyMap<string, Principal> = new Map()
  #readMs = Number.NEGATIVE_INFINITY

  /** `directory`: that of the file profiles; default: those that ship. */
  constructor(directory?: string) {
    this.#directory = directory
  }

  /** Errors: `system_invalid`; `profile_invalid`: the keys declared cannot be read. */
  of(header: (name: string) => string | undefined): Principal {
    const name = header(systemHeader)?.trim() || defaultSystem
    if (!systemName.test(name))
      throw new LoyaltyError(
        'system_invalid',
        `the header ${systemHeader} names no system; send up to 64 letters, digits, dots, dashes and underscores`,
      )
    return this.#declarations().get(name) ?? undeclared(name)
  }

  #declarations(): ReadonlyMap<string, Principal> {
    const nowMs = performance.now()
    if (nowMs - this.#readMs < keptMs) return this.#declared
    this.#declared = declarations(this.#directory)
    this.#readMs = nowMs
    return this.#declared
  }
}

function undeclared(name: string): Principal {
  return { system: { system: name, identity: [], numbersCoverKinds: false }, dayOf: () => '' }
}

function declarations(directory: string | undefined): Map<string, Principal> {
  const found = new Map<string, Principal>()
  for (const name of listProfiles(directory)) {
    const { system: declared, time_zone: timeZone } = loadProfile(name, directory)
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
