import { join } from 'node:path'
import { previewFile } from '#services/ingest/preview.ts'
import type { ProfileBook } from '#services/ingest/profile-book.ts'
import { type Bench, type Figures, perSecond } from './bench.ts'
import { lineFiles, profileOf, writeLines } from './line-files.ts'

const lines = 600_000
const clients = 50_000

/** What an upload does with CSV files of receipt lines before it publishes. */
export const dryRunBench: Bench = {
  name: 'dry-run',
  about: `lines/s of dry runs over files of ${lines.toLocaleString('en')} receipt lines, per core; peak memory`,
  async run({ dir, say }) {
    const figures: Record<string, Figures[string]> = {}
    for (const [name, file] of Object.entries(lineFiles)) {
      const path = join(dir.path, `${name}.csv`)
      await writeLines(path, file, { lines, clients })
      // All threads of the process count.
      const start = process.cpuUsage()
      const { totals } = await previewFile(
        { profiles: notAsked, context: notAsked.all },
        path,
        { profile: JSON.stringify(profileOf(file)) },
        { directory: join(dir.path, 'dry-run') },
      )
      const { user, system } = process.cpuUsage(start)
      if (totals?.rows.accepted !== lines) throw new Error(`of ${name}, not every line was accepted`)
      figures[`${name}_lines_per_second`] = perSecond(lines, (user + system) / 1_000)
      say(`${name}: ${figures[`${name}_lines_per_second`]} lines/s`)
    }
    return { ...figures, peak_rss_mib: Math.round(process.resourceUsage().maxRSS / 1_024) }
  },
}

/** Files are read by a profile that is given whole. */
const notAsked = {
  all: () => Promise.reject(new Error('the profile is given')),
} as unknown as ProfileBook & { readonly all: () => Promise<never> }
