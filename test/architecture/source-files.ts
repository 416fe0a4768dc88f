import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'

export const root = dirname(dirname(import.meta.dirname))

/** A TypeScript file of the project, by its path from the root. */
export interface SourceFile {
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
}

export interface Import {
  /** As written. */
  readonly specifier: string
  /** Path from the root for a file of ours, the package's name for a dependency, `node:…` for a module of Node. */
  readonly target: string
}

const folders = ['schemas', 'streams', 'services', 'clickhouse', 'scripts', 'test']

export function sourceFiles(): SourceFile[] {
  return folders
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`),
    )
    .filter((path) => path.endsWith('.ts') && !path.includes('node_modules'))
    .sort()
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8')
      return { path, text, imports: importsOf(path, text) }
    })
}

const patterns = [
  // import … from 'x', export … from 'x', also type-only and over several lines
  /^\s*(?:import|export)\s[^;'"`]*?\bfrom\s*['"]([^'"]+)['"]/gm,
  // import 'x'
  /^\s*import\s*['"]([^'"]+)['"]/gm,
  // import('x'), also in a type; import.meta.resolve('x'), require('x'), require.resolve('x'), new URL('x', import.meta.url)
  /\b(?:import|require)(?:\.meta)?(?:\.resolve)?\s*\(\s*['"]([^'"]+)['"]/g,
  /\bnew URL\(\s*['"]([^'"]+\.ts)['"]\s*,\s*import\.meta\.url/g,
]

/** Every module a file names: static, type-only, re-exported and dynamic. */
export function importsOf(path: string, text: string): Import[] {
  const code = withoutComments(text)
  const specifiers = new Set(patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1]!)))
  return [...specifiers].map((specifier) => ({ specifier, target: resolve(path, specifier) }))
}

function resolve(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(from), specifier))
  if (specifier.startsWith('#')) return specifier.slice(1)
  if (specifier.startsWith('node:')) return specifier
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Blanks comments, keeping strings and line numbers. */
export function withoutComments(text: string): string {
  return text.replace(
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (match, string) => string ?? match.replace(/[^\n]/g, ' '),
  )
}

/** Codes given to a LoyaltyError in a text, also by a choice between two. */
export function codesIn(text: string): string[] {
  return [...text.matchAll(/new LoyaltyError\(([^`]*?),\s/g)].flatMap(([, first]) =>
    [...first!.matchAll(/'([a-z]+(?:_[a-z]+)*)'/g)].map(([, code]) => code!),
  )
}
