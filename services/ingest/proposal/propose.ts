import { LoyaltyError } from '#streams/core/error.ts'
import type { AnyProfile, FileProfile } from '../profile.ts'
import type { KnownProfile } from '../profile-book.ts'
import { proposeByContent } from './draft.ts'
import { isOfProfile, proposeKnown } from './known.ts'
import { type Proposal, type ProposalContext, proposalForError } from './proposal.ts'
import { readSample, readSampleBy, type Sample } from './sample.ts'

/**
 * How to read a file that nobody named a profile for: by the known profile whose columns it has (a saved one rather than
 * one that ships), with the file's own formats; else by a profile made from its header and its first rows.
 *
 * Errors: `profile_needed` (several known profiles fit), `file_empty`, and those of `readRows`.
 */
export async function proposeProfile(
  path: string,
  known: readonly KnownProfile[],
  context: ProposalContext,
): Promise<Proposal> {
  const { sample, failure } = await sampleOf(path)
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
  return proposeByContent(path, sample, context)
}

/** What the file is by itself, or why it cannot be read without a word of a profile. */
async function sampleOf(path: string): Promise<{ sample: Sample; failure: null } | { sample: null; failure: unknown }> {
  try {
    return { sample: await readSample(path), failure: null }
  } catch (failure) {
    if (!(failure instanceof LoyaltyError)) throw failure
    return { sample: null, failure }
  }
}

/** The sample by which a file is of a profile; null where it is not. */
async function sampleFor(profile: AnyProfile, path: string, sample: Sample | null): Promise<Sample | null> {
  if (sample !== null && isOfProfile(profile, sample)) return sample
  if (!isPeculiar(profile.format)) return null
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
  return format.kind === 'csv' && (format.quote !== '"' || !['auto', ',', ';', '\t', '|'].includes(format.delimiter))
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
