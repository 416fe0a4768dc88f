import { LoyaltyError } from '#streams/core/error.ts'
import { visibleSheets } from '../files/sheets.ts'
import type { AnyProfile, FileProfile } from '../profile.ts'
import type { KnownProfile } from '../profile-book.ts'
import { proposeClientsByContent } from './clients.ts'
import { proposeByContent } from './draft.ts'
import { isOfProfile, proposeKnown, sampleBelowTitles } from './known.ts'
import { type Proposal, type ProposalContext, proposalForError } from './proposal.ts'
import { question } from './question.ts'
import { readSample, readSampleBy, type Sample } from './sample.ts'

/**
 * How to read a file that nobody named a profile for: by the known profile whose columns it has (a saved one rather than
 * one that ships), with the file's own formats; else by a profile made from its header and its first rows. Of a workbook
 * whose first sheet is no such table, by the one sheet that is.
 *
 * Errors: `profile_needed` (several known profiles fit), `file_empty`, and those of `readRows`.
 */
export async function proposeProfile(
  path: string,
  known: readonly KnownProfile[],
  context: ProposalContext,
): Promise<Proposal> {
  const first = await attempt(() => proposeSheet(path, known, context))
  if (first.proposal !== null && isSettled(first.proposal)) return first.proposal
  const sheets = await visibleSheets(path)
  if (sheets.length < 2) return taken(first)
  const others: Proposal[] = []
  for (const sheet of sheets.slice(0, sheetsLookedAt)) {
    if (sheet === first.proposal?.input.sheet?.name) continue
    const { proposal } = await attempt(() => proposeSheet(path, known, context, sheet))
    if (proposal !== null) others.push(proposal)
  }
  return ofSheets([...(first.proposal === null ? [] : [first.proposal]), ...others]) ?? taken(first)
}

/** A proposal, or why there is none: a file that cannot be read as it is. */
type Attempt =
  | { readonly proposal: Proposal; readonly failure: null }
  | { readonly proposal: null; readonly failure: unknown }

async function attempt(propose: () => Promise<Proposal>): Promise<Attempt> {
  try {
    return { proposal: await propose(), failure: null }
  } catch (failure) {
    if (!(failure instanceof LoyaltyError) || failure.code === 'profile_needed') throw failure
    return { proposal: null, failure }
  }
}

function taken({ proposal, failure }: Attempt): Proposal {
  if (proposal === null) throw failure
  return proposal
}

const sheetsLookedAt = 20

/**
 * The proposal for the sheet that needs no question where no other can be meant; else the one that needs fewest, and which
 * sheet it is, is asked.
 */
function ofSheets(proposals: readonly Proposal[]): Proposal | null {
  const settled = proposals.filter(isSettled)
  const [only] = settled
  if (only !== undefined && proposals.every((each) => each === only || !mayBeMeant(each))) return only
  const [best] = [...proposals].sort((a, b) => a.confirm.length - b.confirm.length)
  if (best === undefined) return null
  const { name = '', others = [] } = best.input.sheet ?? {}
  const names = (settled.length > 1 ? settled.map(({ input }) => input.sheet?.name ?? '') : [name, ...others]).slice(
    0,
    20,
  )
  const which = `the workbook has the sheets ${names.map((each) => `"${each}"`).join(', ')}`
  const why = settled.length > 1 ? `${which}, which can all be read` : which
  return { ...best, confirm: [question('format.sheet', `${why}; this is "${name}": is it the one?`), ...best.confirm] }
}

const tellingFields = ['client', 'occurred_at', 'amount', 'unit_price', 'name', 'email', 'birth_date']

/** True where a sheet has columns of transactions or of clients, and only something of them is open; a cover has none. */
function mayBeMeant({ known, columns }: Proposal): boolean {
  return known !== null || columns.filter(({ field }) => field !== null && tellingFields.includes(field)).length >= 2
}

function isSettled({ profile, confirm }: Proposal): boolean {
  return profile !== null && confirm.length === 0
}

async function proposeSheet(
  path: string,
  known: readonly KnownProfile[],
  context: ProposalContext,
  sheet?: string,
): Promise<Proposal> {
  const { sample, failure } = await sampleOf(path, sheet)
  for (const saved of [true, false]) {
    const fitting: { profile: AnyProfile; sample: Sample }[] = []
    for (const { profile } of known.filter((each) => each.saved === saved)) {
      const own = await sampleFor(profile, path, sample)
      if (own !== null) fitting.push({ profile, sample: own })
    }
    const [only] = fitting
    if (only !== undefined && fitting.length === 1) return proposeKnown(only.profile, path, only.sample)
    if (fitting.length > 1) throw severalFit(fitting.map(({ profile }) => profile.name))
  }
  if (sample === null) throw failure
  return (await proposeClientsByContent(path, sample, context)) ?? proposeByContent(path, sample, context)
}

/** What the file is by itself, or why it cannot be read without a word of a profile. */
async function sampleOf(
  path: string,
  sheet: string | undefined,
): Promise<{ sample: Sample; failure: null } | { sample: null; failure: unknown }> {
  try {
    return { sample: await readSample(path, sheet), failure: null }
  } catch (failure) {
    if (!(failure instanceof LoyaltyError)) throw failure
    return { sample: null, failure }
  }
}

/** The sample by which a file is of a profile; null where it is not. */
async function sampleFor(profile: AnyProfile, path: string, sample: Sample | null): Promise<Sample | null> {
  if (sample !== null && isOfProfile(profile, sample)) return sample
  const below = sample === null ? null : await sampleBelowTitles(profile, path, sample)
  if (below !== null || !isPeculiar(profile.format)) return below
  try {
    const own = await readSampleBy(path, profile.format)
    return isOfProfile(profile, own) ? own : null
  } catch (error) {
    if (error instanceof LoyaltyError) return null
    throw error
  }
}

/** True for formats that are not found out by themselves. */
function isPeculiar(format: FileProfile['format']): boolean {
  if (!format.header || format.kind === 'fixed') return false
  if (!/^(auto|utf-?(8|16))$/i.test(format.encoding)) return true
  if (format.kind !== 'csv') return false
  if (format.skip_rows !== undefined || format.sheet !== undefined) return true
  return format.quote !== '"' || !['auto', ',', ';', '\t', '|'].includes(format.delimiter)
}

function severalFit(names: readonly string[]): LoyaltyError {
  return new LoyaltyError(
    'profile_needed',
    `more than one file profile fits the header; name one of: ${names.join(', ')}`,
    { details: { known: names, fitting: names } },
  )
}

/**
 * The profile of a proposal that is good enough to be used unasked. Errors: `profile_needed` (details.proposal; the message
 * says what is to be confirmed, and how).
 */
export function settledProfile(proposal: Proposal, known: readonly KnownProfile[]): AnyProfile {
  const { profile, confirm } = proposal
  if (profile !== null && confirm.length === 0) return profile
  const questions = confirm.map(({ field, message }) => `${field}: ${message}`)
  const names = known.map((each) => each.profile.name)
  throw new LoyaltyError(
    'profile_needed',
    `how the file is to be read is not certain: ${questions.join('; ')}. Look at the proposal (--dry-run, or data/preview), ` +
      `confirm or correct it, and give it as profile (--profile FILE.json), or save it by a name; known profiles: ${names.join(', ')}`,
    { details: { known: names, fitting: [], proposal: proposalForError(proposal) } },
  )
}
