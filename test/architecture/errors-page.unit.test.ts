import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { registryFaults } from '#services/registry/faults.ts'
import { codesIn, root, sourceFiles } from './source-files.ts'

const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')
const documented = new Set(
  page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...line.split('|')[1]!.matchAll(/`([a-z_]+)`/g)].map((match) => match[1]!)),
)

function thrownCodes(): Set<string> {
  const product = sourceFiles().filter(({ path }) => /^(services|streams|schemas)\//.test(path))
  return new Set([...Object.keys(registryFaults), ...product.flatMap(({ text }) => codesIn(text))])
}

describe('the page of error codes', () => {
  it('has every code that the product gives', () => {
    const codes = thrownCodes()
    expect(codes.size).toBeGreaterThan(60)
    expect([...codes].filter((code) => !documented.has(code)).sort()).toEqual([])
  })

  it('has no code that nothing gives', () => {
    const codes = thrownCodes()
    expect([...documented].filter((code) => !codes.has(code)).sort()).toEqual([])
  })
})
