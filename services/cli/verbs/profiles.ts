import type { Command } from 'commander'
import { isOfClients } from '../../ingest/clients/profile.ts'
import { type KnownProfile, ProfileBook } from '../../ingest/profile-book.ts'
import { ProfileStore } from '../../ingest/store/profiles.ts'
import { readConfig } from '../../platform/config.ts'
import type { CliContext, CommonOptions } from '../context.ts'
import { hasData, readProfileFile } from '../dry-run.ts'
import { tableOf } from '../output.ts'
import { environmentOf, withSession } from '../session.ts'
import { asUsage } from '../usage.ts'

interface Options extends CommonOptions {
  readonly name?: string
}

const dataDir = ['--data-dir <dir>', 'data directory (default: LOYALTY_DATA_DIR, else ./.data)'] as const
const json = ['--json', 'print one JSON object'] as const

/** File profiles: what says how the files of a source are read. */
export function profilesVerb(program: Command, context: CliContext): void {
  const verb = program.command('profiles').description('file profiles: how the files of a source are read')
  const { output } = context
  verb
    .command('list')
    .description('those that ship, and those that were saved')
    .option(...dataDir)
    .option(...json)
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- profiles list --json\n')
    .action(async (options: Options) => {
      const all = await withProfiles(context, options, (profiles) => profiles.all())
      if (options.json) return output.json({ profiles: all.map(bodyOf) })
      for (const line of listing(all)) output.print(line)
    })
  verb
    .command('show')
    .argument('<name>')
    .description('one profile, as JSON that --profile FILE.json takes')
    .option(...dataDir)
    .option(...json)
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- profiles show online-retail > mine.json\n')
    .action(async (name: string, options: Options) => {
      const found = await withProfiles(context, options, (profiles) => profiles.named(name))
      if (options.json) output.json(bodyOf(found))
      else output.print(JSON.stringify(found.profile, null, 2))
    })
  verb
    .command('save')
    .argument('<file>', 'JSON of a file profile')
    .description('save a profile: files with its columns are read by it from then on')
    .option('--name <name>', 'name to save it by (default: the one in the file)')
    .option(...dataDir)
    .option(...json)
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- profiles save sales.json --name our-shops\n')
    .action(async (file: string, options: Options) => {
      const given = await asUsage(() => readProfileFile(file, options.name))
      const created = await withSaved(context, options, (profiles) => profiles.save(given))
      if (options.json) return output.json({ name: given.name, created })
      output.print(`${created ? 'saved' : 'replaced'} file profile ${given.name}`)
    })
  verb
    .command('delete')
    .argument('<name>')
    .description('delete a saved profile; uploads keep the one that they were read by')
    .option(...dataDir)
    .option(...json)
    .addHelpText('after', '\nExamples:\n  npm run -s loyalty -- profiles delete our-shops\n')
    .action(async (name: string, options: Options) => {
      await withSaved(context, options, (profiles) => profiles.remove(name))
      if (options.json) output.json({ name, deleted: true })
      else output.print(`deleted file profile ${name}`)
    })
}

/** With those that ship only, where no platform has ever run. */
async function withProfiles<Result>(
  context: CliContext,
  options: Options,
  work: (profiles: ProfileBook) => Promise<Result>,
): Promise<Result> {
  const isThere = await hasData(readConfig(environmentOf(context, options)))
  return isThere ? withSaved(context, options, work) : work(new ProfileBook(null))
}

function withSaved<Result>(
  context: CliContext,
  options: Options,
  work: (profiles: ProfileBook) => Promise<Result>,
): Promise<Result> {
  return withSession(context, options, ['postgres'], (session) =>
    work(new ProfileBook(new ProfileStore(session.postgres()))),
  )
}

function bodyOf({ profile, saved, savedAtMs }: KnownProfile) {
  return { name: profile.name, saved, saved_at: savedAtMs === null ? null : new Date(savedAtMs).toISOString(), profile }
}

function listing(all: readonly KnownProfile[]): string[] {
  return tableOf(
    [
      { title: 'name', value: ({ profile }) => profile.name },
      { title: '', value: ({ saved }) => (saved ? 'saved' : 'shipped') },
      { title: 'system', value: ({ profile }) => (isOfClients(profile) ? '(clients)' : profile.system.name) },
      { title: 'currency', value: ({ profile }) => (isOfClients(profile) ? '' : profile.currency) },
      { title: 'title', value: ({ profile }) => profile.title ?? '' },
    ],
    all,
  )
}
