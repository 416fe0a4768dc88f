import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LoyaltyError } from '#streams/core/error.ts'

/** An import from a lake that was begun in a data directory and has not ended. */
export interface ImportMark {
  readonly lake: string
}

function markPath(dataDir: string): string {
  return join(dataDir, 'import.json')
}

export function readImportMark(dataDir: string): ImportMark | null {
  const path = markPath(dataDir)
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ImportMark) : null
}

export function writeImportMark(dataDir: string, mark: ImportMark): void {
  const path = markPath(dataDir)
  writeFileSync(`${path}.new`, `${JSON.stringify(mark)}\n`)
  renameSync(`${path}.new`, path)
}

export function removeImportMark(dataDir: string): void {
  rmSync(markPath(dataDir), { force: true })
}

/** A platform on half a log would say wrong things of every client. Errors: `import_unfinished`. */
export function checkImportEnded(dataDir: string): void {
  const mark = readImportMark(dataDir)
  if (mark === null) return
  throw new LoyaltyError(
    'import_unfinished',
    `an import from ${mark.lake} into ${dataDir} was interrupted; go on with \`loyalty import --from-lake ${mark.lake} --data-dir ${dataDir}\`, or delete the directory`,
    { details: { ...mark, dataDir } },
  )
}
