import type { Stats } from 'node:fs'
import { access, type FileHandle, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { asked } from '../../platform/asked.ts'
import { type FolderConfig, patternOf } from './config.ts'
import type { Fate, Offer, Source } from './source.ts'

/**
 * A folder that others put files into. A file that is whole by the folder's rule is offered; when it has been taken in it is
 * moved into the sub-folder `processed`, or `failed`, there with a file beside it that says why.
 */
export function folderSource(config: FolderConfig, dataDir: string, nowMs: () => number): Source {
  const directory = isAbsolute(config.path) ? config.path : join(dataDir, config.path)
  const told = (cause: unknown) => unavailable(config, cause)
  return {
    offers: () => offersOf(config, directory, nowMs),
    putAway: (fileName, version, fate) =>
      asked(told, async () => {
        const path = join(directory, fileName)
        if ((await versionAt(path)) !== version) return
        const into = join(directory, fate.kind)
        await mkdir(into, { recursive: true })
        const name = await freeName(into, fileName)
        // First the reason: a file that lies in `failed` has one.
        if (fate.kind === 'failed') await writeFile(join(into, `${name}.error.json`), errorText(fate))
        await rename(path, join(into, name))
        if ('marker' in config.complete) await rm(path + config.complete.marker, { force: true })
      }),
    close: async () => {},
  }
}

async function* offersOf(config: FolderConfig, directory: string, nowMs: () => number): AsyncGenerator<Offer> {
  const entries = await asked(
    (cause) => unavailable(config, cause),
    () => readdir(directory, { withFileTypes: true }),
  )
  const names = new Set(entries.filter((entry) => entry.isFile()).map((entry) => entry.name))
  for (const fileName of [...names].sort()) {
    const pattern = patternOf(config.files, fileName)
    if (pattern === null) continue
    const path = join(directory, fileName)
    const found = await stat(path).catch(() => null)
    if (found === null || !isWhole(config, fileName, names, nowMs() - Math.max(found.mtimeMs, found.ctimeMs))) continue
    yield {
      fileName,
      version: versionOf(found),
      profile: pattern.profile ?? null,
      open: async () => ({
        content: (await readable(config, fileName, path)).createReadStream(),
        finish: async () => {
          const state = (await versionAt(path)) === versionOf(found) ? 'whole' : 'changed'
          return { state, watermark: null }
        },
      }),
    }
  }
}

async function readable({ name, path: folder }: FolderConfig, fileName: string, path: string): Promise<FileHandle> {
  try {
    return await open(path)
  } catch (cause) {
    const message = `${fileName} in the folder ${folder} of source ${name} cannot be read: ${messageOf(cause)}`
    throw new LoyaltyError('source_file_unreadable', message, { retriable: true, details: { source: name }, cause })
  }
}

function isWhole({ complete }: FolderConfig, fileName: string, names: ReadonlySet<string>, quietMs: number): boolean {
  return 'marker' in complete ? names.has(fileName + complete.marker) : quietMs >= complete.quiet_seconds * 1_000
}

function versionOf({ size, mtimeMs, ino }: Stats): string {
  return `${size}:${mtimeMs}:${ino}`
}

async function versionAt(path: string): Promise<string | null> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  return found && versionOf(found)
}

/** The name itself, or with a number where one of that name was put there before. */
async function freeName(directory: string, fileName: string): Promise<string> {
  for (let n = 1; ; n++) {
    const name = n === 1 ? fileName : `${fileName}.${n}`
    const taken = await access(join(directory, name)).then(
      () => true,
      () => false,
    )
    if (!taken) return name
  }
}

/** What stands beside a file that failed. */
export function errorText(fate: Extract<Fate, { kind: 'failed' }>): string {
  return `${JSON.stringify({ code: fate.code, message: fate.message }, null, 2)}\n`
}

function unavailable({ name, path }: FolderConfig, cause: unknown): LoyaltyError {
  return new LoyaltyError('source_unavailable', `the folder ${path} of source ${name}: ${messageOf(cause)}`, {
    retriable: true,
    details: { source: name },
    cause,
  })
}
