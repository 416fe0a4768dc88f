import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What a replay was begun with: kept in the data directory, so that it can go on after it was ended. */
export interface ReplayMarker {
  readonly file_sha256: string
  readonly profile: string
  /** ISO date of the first day. */
  readonly first_day: string
  /** Days before cut-points are calibrated. */
  readonly calibrate_after: number
}

function pathIn(dataDir: string): string {
  return join(dataDir, 'stream-demo.json')
}

/** Null where no replay was begun in the directory. */
export function readMarker(dataDir: string): ReplayMarker | null {
  const path = pathIn(dataDir)
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ReplayMarker) : null
}

export async function writeMarker(dataDir: string, marker: ReplayMarker): Promise<void> {
  const path = pathIn(dataDir)
  await writeFile(`${path}.new`, `${JSON.stringify(marker)}\n`)
  await rename(`${path}.new`, path)
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}
