import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type FileProfile, ofTransactions } from '#services/ingest/profile.ts'
import { ProfileBook } from '#services/ingest/profile-book.ts'
import type { Proposal, ProposalContext } from '#services/ingest/proposal/proposal.ts'
import { proposeProfile } from '#services/ingest/proposal/propose.ts'
import { tempDir } from '../../../support/temp-dir.ts'

export const inRussia: ProposalContext = { currency: 'RUB', timeZone: 'Europe/Moscow' }

interface Known {
  readonly context?: ProposalContext
  readonly saved?: readonly FileProfile[]
}

/** As `proposalOf`, for a file of transactions. */
export async function proposalFor(content: string | Uint8Array, known: Known = {}): Promise<Proposal<FileProfile>> {
  const proposal = await proposalOf(content, known)
  return { ...proposal, profile: proposal.profile && ofTransactions(proposal.profile) }
}

/** What is proposed for a file of this content, where `saved` profiles are known beside those that ship. */
export async function proposalOf(
  content: string | Uint8Array,
  { context = inRussia, saved = [] }: Known = {},
): Promise<Proposal> {
  const dir = await tempDir('loyalty-proposal-')
  try {
    const path = join(dir.path, 'file')
    await writeFile(path, content)
    const shipped = await new ProfileBook(null).all()
    const known = saved.map((profile) => ({ profile, saved: true, savedAtMs: 0 }))
    return await proposeProfile(path, [...shipped, ...known], context)
  } finally {
    await dir.remove()
  }
}

/** Fields by the name of their column, without those that are not read. */
export function fieldsOf({ columns }: Proposal): Record<string, string> {
  return Object.fromEntries(columns.flatMap(({ name, field }) => (field === null ? [] : [[name, field]])))
}

export function confidenceIn({ columns }: Proposal, name: string): number {
  const column = columns.find((each) => each.name === name)
  if (column === undefined) throw new Error(`there is no column ${name}`)
  return column.confidence
}

/** The places in the profile that a person is asked about. */
export function askedBy({ confirm }: Proposal): string[] {
  return confirm.map(({ field }) => field).sort()
}

/** Lines of a file, from cells. */
export function table(delimiter: string, ...rows: readonly (readonly (string | number)[])[]): string {
  return rows.map((row) => `${row.join(delimiter)}\r\n`).join('')
}
