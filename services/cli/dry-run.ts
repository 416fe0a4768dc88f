import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { LoyaltyError } from '#streams/core/error.ts'
import { noProgramme } from '../ingest/clients/job.ts'
import { isOfClients } from '../ingest/clients/profile.ts'
import { Control } from '../ingest/control.ts'
import { type FilePreview, previewFile } from '../ingest/preview.ts'
import { type AnyProfile, parseAnyProfile } from '../ingest/profile.ts'
import { ProfileBook } from '../ingest/profile-book.ts'
import { type ProgrammeBasis, proposalContext } from '../ingest/programme.ts'
import type { ProposalContext } from '../ingest/proposal/proposal.ts'
import { settledProfile } from '../ingest/proposal/propose.ts'
import { type ReadingDeps, type ReadingWish, readingOf } from '../ingest/reading.ts'
import { ProfileStore } from '../ingest/store/profiles.ts'
import { type Config, readConfig } from '../platform/config.ts'
import { findPlatform } from '../standalone/run-file.ts'
import type { CliContext, CommonOptions } from './context.ts'
import { environmentOf, type Session, withSession } from './session.ts'

/** How a file is read, found out here rather than by ingestion: before a programme begins, or without publishing. */

/** What the command line says of a file. Errors: `file_missing`, `profile_invalid` of a profile that is a file. */
export function wishFrom(options: { profile?: string; currency?: string; timeZone?: string }): ReadingWish {
  const { currency, timeZone } = options
  return { profile: options.profile === undefined ? undefined : profileText(options.profile), currency, timeZone }
}

/** A name as it is, or the text of a file. */
function profileText(given: string): string {
  if (!/\.json$|[/\\]/i.test(given)) return given
  return JSON.stringify(readProfileFile(given))
}

/** The profile in a file, under another name if one is given. Errors: `file_missing`, `profile_invalid`. */
export function readProfileFile(path: string, name?: string): AnyProfile {
  if (!existsSync(path)) throw new LoyaltyError('file_missing', `there is no file ${path}`, { details: { path } })
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new LoyaltyError('profile_invalid', `file profile ${path} is not JSON`, { cause })
  }
  return parseAnyProfile(name === undefined ? value : { ...(value as object), name }, path)
}

/**
 * A programme that begins with a file counts as that file's profile says; it does not begin where that is not certain, nor
 * with a file of clients.
 */
export function programmeBasis(file: string, wish: ReadingWish): ProgrammeBasis {
  return async (profiles, settings) => {
    if (!existsSync(file))
      throw new LoyaltyError('file_missing', `there is no file ${file}`, { details: { path: file } })
    const { profile, proposal } = await readingOf({ profiles, context: async () => contextOf(settings) }, file, wish)
    const basis = profile ?? settledProfile(proposal, await profiles.all())
    return isOfClients(basis) ? noProgramme() : basis
  }
}

/** What an upload of a file would come to. Errors: `interrupted`, those of `previewFile`. */
export async function dryRun(
  context: CliContext,
  options: CommonOptions,
  file: string,
  wish: ReadingWish,
  onProgress: (share: number) => void,
): Promise<FilePreview> {
  if (!existsSync(file)) throw new LoyaltyError('file_missing', `there is no file ${file}`, { details: { path: file } })
  return withKnown(context, options, async (known) => {
    const directory = await mkdtemp(join(tmpdir(), 'loyalty-dry-run-'))
    try {
      return await previewFile(known, file, wish, { directory, signal: context.interrupted, onProgress })
    } catch (error) {
      if (!context.interrupted.aborted) throw error
      throw new LoyaltyError('interrupted', 'the dry run was stopped; nothing was published or kept', { cause: error })
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
}

/** Runs `work` with what the data directory knows of profiles and of the programme; without data, with what ships. */
async function withKnown<Result>(
  context: CliContext,
  options: CommonOptions,
  work: (known: ReadingDeps) => Promise<Result>,
): Promise<Result> {
  const config = readConfig(environmentOf(context, options))
  if (!(await hasData(config))) return work({ profiles: new ProfileBook(null), context: async () => contextOf(config) })
  return withSession(context, options, ['postgres', 'registry'], async (session) => {
    const programme = await contextOfProgramme(session)
    return work({ profiles: new ProfileBook(new ProfileStore(session.postgres())), context: async () => programme })
  })
}

/** True where a platform runs or has run. */
export async function hasData(config: Config): Promise<boolean> {
  const dataDir = resolve(config.dataDir)
  if (config.postgresUrl !== undefined || existsSync(join(dataDir, 'postgres'))) return true
  return (await findPlatform(dataDir)) !== null
}

async function contextOfProgramme(session: Session): Promise<ProposalContext> {
  const control = await Control.open(session.log(), session.topics, session.registry())
  return proposalContext(control, session.config)
}

function contextOf({ currency, timeZone }: { currency?: string | undefined; timeZone?: string | undefined }) {
  return { currency: currency ?? null, timeZone: timeZone ?? null }
}
