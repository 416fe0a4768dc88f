import { LoyaltyError } from '#streams/core/error.ts'
import { findClientColumns } from './clients/columns.ts'
import { type ClientsProfile, isOfClients } from './clients/profile.ts'
import { findColumns, headerOf } from './files/columns.ts'
import { fileEmpty } from './files/empty.ts'
import { type FileInput, readRows, unknownInput } from './files/rows.ts'
import { isCurrency } from './parse/currency.ts'
import { isTimeZone } from './parse/zone.ts'
import { type AnyProfile, type FileProfile, parseAnyProfile } from './profile.ts'
import type { ProfileBook } from './profile-book.ts'
import type { Proposal, ProposalContext } from './proposal/proposal.ts'
import { proposeProfile } from './proposal/propose.ts'
import { askRejected } from './proposal/rejected.ts'
import type { UploadStore } from './store/uploads.ts'

/** By which profile a file is read: the one that was given, or the one proposed. One way for uploads and previews. */

/** What the sender says of a file. */
export interface ReadingWish {
  /** Name of a profile, or one as JSON. */
  readonly profile?: string | undefined
  /** Of the sums of a file without profile. */
  readonly currency?: string | undefined
  readonly timeZone?: string | undefined
}

/** `profile` is the one that was given; without one there is a proposal. */
export type Reading =
  | { readonly basis: 'given'; readonly profile: AnyProfile; readonly proposal: null }
  | { readonly basis: Proposal['basis']; readonly profile: null; readonly proposal: Proposal }

export interface ReadingDeps {
  readonly profiles: ProfileBook
  readonly context: () => Promise<ProposalContext>
  /** Knows by which profile an upload was read; rejected rows that come back are read by that. */
  readonly store?: Pick<UploadStore, 'profileOf'> | undefined
}

/**
 * Errors: `request_invalid` (a faulty profile, currency or time zone), `profile_unknown`, `columns_missing` (of a given
 * profile), and those of `proposeProfile`.
 */
export async function readingOf(deps: ReadingDeps, path: string, wish: ReadingWish): Promise<Reading> {
  const { profiles, context } = deps
  if (wish.profile !== undefined) {
    if (wish.currency !== undefined || wish.timeZone !== undefined)
      throw invalid('a profile says the currency and the time zone itself; leave out currency and time_zone')
    return readBy(await givenProfile(profiles, wish.profile), path)
  }
  if (wish.currency !== undefined && !isCurrency(wish.currency))
    throw invalid(`currency takes an ISO 4217 code in capitals, such as RUB, not '${wish.currency}'`)
  if (wish.timeZone !== undefined && !isTimeZone(wish.timeZone))
    throw invalid(`time_zone takes an IANA time zone, such as Europe/Moscow, not '${wish.timeZone}'`)
  const before = wish.currency === undefined && wish.timeZone === undefined ? await profileBefore(deps, path) : null
  if (before !== null) return readBy(before, path)
  const known = await context()
  const own = { currency: wish.currency ?? known.currency, timeZone: wish.timeZone ?? known.timeZone }
  const proposal = await judged(path, said(await proposeProfile(path, await profiles.all(), own), wish), own.currency)
  return { basis: proposal.basis, profile: null, proposal }
}

async function readBy(profile: AnyProfile, path: string): Promise<Reading> {
  const [row] = await firstRows(path, profile.format, 1)
  if (row === undefined) throw fileEmpty('nothing')
  mustHaveColumns(profile, headerOf(profile.format, row))
  return { basis: 'given', profile, proposal: null }
}

const anyTable = { kind: 'csv', delimiter: 'auto', quote: '"', encoding: 'auto', header: true } as const

/** The profile by which rejected rows were read that come back with this file; null for any other file. */
async function profileBefore({ store }: ReadingDeps, path: string): Promise<AnyProfile | null> {
  if (store === undefined) return null
  const input = unknownInput()
  try {
    await firstRows(path, anyTable, 2, input)
  } catch (error) {
    // Why it cannot be read is told by whoever proposes how to.
    if (error instanceof LoyaltyError) return null
    throw error
  }
  return input.rejected_of === undefined ? null : store.profileOf(input.rejected_of)
}

/** With a question where a known profile has the columns of a file, but would not take most of its rows in. */
async function judged(path: string, proposal: Proposal, currency: string | null): Promise<Proposal> {
  const { basis, profile, confirm } = proposal
  if (basis === 'content' || profile === null || confirm.length > 0) return proposal
  return { ...proposal, confirm: await askRejected(path, profile, currency, { basis, asked: confirm }) }
}

/** A known profile with the currency and the zone that the sender says of this file. */
function said(proposal: Proposal, { currency, timeZone }: ReadingWish): Proposal {
  if (proposal.profile === null || (currency === undefined && timeZone === undefined)) return proposal
  const { profile } = proposal
  if (isOfClients(profile)) return saidOfClients(proposal, profile, timeZone)
  const own = { ...profile, currency: currency ?? profile.currency, time_zone: timeZone ?? profile.time_zone }
  const isOther = own.currency !== profile.currency || own.time_zone !== profile.time_zone
  const basis = proposal.basis === 'known' && isOther ? 'variant' : proposal.basis
  return { ...proposal, basis, profile: own, draft: own }
}

/** Their bonus balances are in the currency of the programme. */
function saidOfClients(proposal: Proposal, profile: ClientsProfile, timeZone: string | undefined): Proposal {
  if (timeZone === undefined || timeZone === profile.time_zone) return proposal
  const own = { ...profile, time_zone: timeZone }
  return { ...proposal, basis: 'variant', profile: own, draft: own }
}

/** Errors: `columns_missing`. */
export function mustHaveColumns(profile: AnyProfile, header: readonly string[] | null): void {
  if (isOfClients(profile)) findClientColumns(profile, header)
  else findColumns(profile, header)
}

async function givenProfile(profiles: ProfileBook, text: string): Promise<AnyProfile> {
  return text.trimStart().startsWith('{') ? profileOfJson(text) : (await profiles.named(text)).profile
}

/** Errors: `request_invalid` (details.faults). */
export function profileOfJson(text: string): AnyProfile {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw invalid('the profile is no JSON', cause)
  }
  return checkedProfile(value)
}

/** As `parseAnyProfile`, for what comes with a request. Errors: `request_invalid` (details.faults). */
export function checkedProfile(value: unknown): AnyProfile {
  try {
    return parseAnyProfile(value, 'given')
  } catch (error) {
    if (!(error instanceof LoyaltyError)) throw error
    throw new LoyaltyError('request_invalid', error.message, { cause: error, details: error.details })
  }
}

function invalid(message: string, cause?: unknown): LoyaltyError {
  return new LoyaltyError('request_invalid', message, { cause, details: { faults: [message] } })
}

/** `count` rows from the beginning, fewer where the file has no more. Errors: those of `readRows`. */
export async function firstRows(
  path: string,
  format: FileProfile['format'],
  count: number,
  input?: FileInput,
): Promise<string[][]> {
  const rows: string[][] = []
  for await (const batch of readRows(path, format, { input })) {
    rows.push(...batch.slice(0, count - rows.length))
    if (rows.length >= count) break
  }
  return rows
}
