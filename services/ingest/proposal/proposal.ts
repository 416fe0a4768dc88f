import type { FileInput } from '../files/rows.ts'
import type { AnyProfile } from '../profile.ts'
import type { ClientField } from './client-names.ts'
import type { ProposedField } from './names.ts'
import type { Question } from './question.ts'

/** How a file would be read, and what of that is certain. */
export interface Proposal<Profile extends AnyProfile = AnyProfile> {
  /** `known`: a known profile as it is; `variant`: one with the file's own formats; `content`: made from the file. */
  readonly basis: 'known' | 'variant' | 'content'
  /** Name of the known profile; null where there is none. */
  readonly known: string | null
  /** The profile as far as it is known: `profile` before what is missing is added. */
  readonly draft: Readonly<Record<string, unknown>>
  /** Null where something is missing that cannot be left out. */
  readonly profile: Profile | null
  readonly columns: readonly ProposedColumn[]
  /** What a person has to say before a file is read so; with nothing here the proposal is good enough. */
  readonly confirm: readonly Question[]
  readonly input: FileInput
}

export interface ProposedColumn {
  readonly index: number
  readonly name: string
  /** Field of the profile, `attributes.NAME` or `consent.CHANNEL`; null where the column is not read. */
  readonly field: ProposedField | ClientField | `${'attributes' | 'consent'}.${string}` | null
  /** 0 to 1; 0 where the column is not read. */
  readonly confidence: number
  readonly why: string
  /** The first different values, each cut at 100 characters; none of a file of clients, which are personal data. */
  readonly examples: readonly string[]
}

/** What is known besides the file: of the programme if it has begun, else of settings, else of the person who asks. */
export interface ProposalContext {
  readonly currency: string | null
  readonly timeZone: string | null
}

/** As people and scripts get it. */
export function proposalBody({ basis, known, draft, columns, confirm }: Proposal) {
  return { basis, known, good_enough: confirm.length === 0, confirm, columns, profile: draft }
}

/** Without examples of values: they may be personal data, and errors go to logs. */
export function proposalForError(proposal: Proposal) {
  const { columns, ...body } = proposalBody(proposal)
  return { ...body, columns: columns.map(({ examples: _, ...column }) => column) }
}
