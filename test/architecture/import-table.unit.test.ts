import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { forbiddenImports, importRules } from './import-rules.ts'
import { importsOf, root, sourceFiles, withoutComments } from './source-files.ts'

const files = sourceFiles()
/** Without this file, whose text holds examples of what is forbidden. */
const others = files.filter(({ path }) => path !== 'test/architecture/import-table.unit.test.ts')
const product = files.filter(({ path }) => !path.startsWith('test/'))

/** Path and line of every match outside comments. */
function matches(candidates: typeof files, pattern: RegExp): string[] {
  return candidates.flatMap(({ path, text }) =>
    withoutComments(text)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [])),
  )
}

describe('import table', () => {
  it('finds the files it is about', () => {
    expect(files.length).toBeGreaterThan(10)
    expect(files.some(({ path }) => path === 'streams/log/log.ts')).toBe(true)
  })

  it('holds for every file', () => {
    const broken = files.flatMap((file) =>
      forbiddenImports(file).map(({ specifier }) => `${file.path} may not import ${specifier}`),
    )
    expect(broken).toEqual([])
  })

  it('covers every file by a rule', () => {
    expect(
      files.filter(({ path }) => !importRules.some((rule) => rule.from.test(path))).map(({ path }) => path),
    ).toEqual([])
  })

  it('names files that exist', () => {
    const lost = others.flatMap(({ path, imports }) =>
      imports
        .filter(({ specifier, target }) => /^[.#]/.test(specifier) && !existsSync(join(root, target)))
        .map(({ specifier }) => `${path} imports ${specifier}`),
    )
    expect(lost).toEqual([])
  })

  it('uses relative imports inside a top-level part and # imports across parts', () => {
    const part = (path: string) => path.split('/')[0]
    const wrong = product.flatMap(({ path, imports }) =>
      imports
        .filter(({ specifier, target }) =>
          specifier.startsWith('.')
            ? part(target) !== part(path)
            : specifier.startsWith('#') && part(target) === part(path),
        )
        .map(({ specifier }) => `${path} imports ${specifier}`),
    )
    expect(wrong).toEqual([])
  })
})

describe('the reader of imports', () => {
  it('sees static, type-only, multi-line, re-exported, side-effect and dynamic imports, and no comments', () => {
    const text = [
      "import a from './a.ts'",
      "import type { B } from '#streams/b.ts'",
      "import {\n  c,\n} from 'node:fs'",
      "export * from '@scope/d/deep.js'",
      "import './e.ts'",
      "const f = await import('./f.ts')",
      "type G = import('./g.ts').G",
      "// import h from './h.ts'",
      "/* import i from './i.ts' */",
    ].join('\n')
    expect(importsOf('streams/x/y.ts', text).map(({ target }) => target)).toEqual(
      expect.arrayContaining([
        ...[
          'streams/x/a.ts',
          'streams/b.ts',
          'node:fs',
          '@scope/d',
          'streams/x/e.ts',
          'streams/x/f.ts',
          'streams/x/g.ts',
        ],
      ]),
    )
    expect(importsOf('streams/x/y.ts', text)).toHaveLength(7)
  })

  it.each([
    ['streams/domain/a.ts', 'node:fs'],
    ['streams/domain/a.ts', '#streams/core/error.ts'],
    ['streams/runtime/a.ts', '../domain/ledger.ts'],
    ['streams/runtime/a.ts', '../log/kafka/open.ts'],
    ['streams/log/kafka/a.ts', '../postgres/open.ts'],
    ['services/api/a.ts', '../ingest/program.ts'],
    ['services/api/a.ts', '../wiring/log.ts'],
    ['services/projector/a.ts', '../api/read-models/clients.ts'],
    ['services/standalone/a.ts', '../api/main.ts'],
    ['services/platform/a.ts', '#schemas/topics.ts'],
    ['clickhouse/queries/a.ts', 'node:fs'],
    ['streams/topologies/a.ts', '#test/support/x.ts'],
  ])('forbids %s to import %s', (path, specifier) => {
    const file = { path, text: '', imports: importsOf(path, `import x from '${specifier}'`) }
    expect(forbiddenImports(file)).toHaveLength(1)
  })
})

describe('conventions', () => {
  it('reads the environment only in mains, scripts and tests', () => {
    const readers = product.filter(({ path }) => !/^(services\/[^/]+\/main\.ts|scripts\/)/.test(path))
    expect(matches(readers, /\bprocess\.env\b/)).toEqual([])
  })

  it('registers signals only in mains and in the lifecycle they call', () => {
    const strangers = product.filter(
      ({ path }) => !/main\.ts$|^scripts\/|^services\/platform\/lifecycle\.ts$/.test(path),
    )
    expect(matches(strangers, /process\.(on|once)\(\s*['"]SIG/)).toEqual([])
  })

  it('has no enum, parameter property, namespace or decorator, which Node cannot strip', () => {
    expect(matches(files, /^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s|^\s*(export\s+)?namespace\s/)).toEqual([])
    expect(matches(files, /constructor\(([^)]*,)?\s*(private|public|protected|readonly)\s/)).toEqual([])
  })

  it('turns neither the type checker nor the linter off', () => {
    expect(matches(others, /\bas any\b|: any\b/)).toEqual([])
    const off = /@ts-(ignore|nocheck|expect-error)|biome-ignore/
    const found = others.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => (off.test(line) ? [`${path}:${index + 1}`] : [])),
    )
    expect(found).toEqual([])
  })

  it('keeps files below 350 lines', () => {
    const long = files
      .filter(({ path, text }) => !path.endsWith('.test.ts') && text.split('\n').length > 351)
      .map(({ path }) => path)
    expect(long).toEqual([])
  })

  it('names the tier in every test file', () => {
    const tier = /\.(unit|int|kafka|crash|browser)\.test\.ts$/
    expect(files.filter(({ path }) => path.endsWith('.test.ts') && !tier.test(path)).map(({ path }) => path)).toEqual(
      [],
    )
  })
})
