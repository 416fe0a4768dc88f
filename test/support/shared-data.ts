import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../../../shared/data')

export interface SharedData {
  path(file: string): string
  bytes(file: string): Buffer
  text(file: string): string
  json(file: string): unknown
}

/**
 * A folder of the real data and vectors beside the project (`../shared/data`), or null, with the reason printed, where
 * they are not there: such tests skip.
 */
export function fromSharedData(folder: string): SharedData | null {
  const path = (file: string) => join(root, folder, file)
  if (!existsSync(path(''))) {
    console.warn(`skipped: ../shared/data/${folder} is missing`)
    return null
  }
  const text = (file: string) => readFileSync(path(file), 'utf8')
  return { path, text, bytes: (file) => readFileSync(path(file)), json: (file) => JSON.parse(text(file)) }
}
