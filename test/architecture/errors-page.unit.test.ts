import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { registryFaults } from '#services/registry/faults.ts'
import { root, sourceFiles } from './source-files.ts'

const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')
const documented = new Set(
  page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...line.split('|')[1]!.matchAll(/`([a-z_]+)`/g)].map((match) => match[1]!)),
)

/** Codes given to a LoyaltyError, also by a choice between two. */
function thrownCodes(): Set<string> {
  const codes = new Set<string>(Object.keys(registryFaults))
  for (const { path, text } of sourceFiles()) {
    if (!/^(services|streams|schemas)\//.test(path)) continue
    for (const [, first] of text.matchAll(/new LoyaltyError\(([^`]*?),\s/g))
      for (const [, code] of first!.matchAll(/'([a-z]+(?:_[a-z]+)*)'/g)) codes.add(code!)
  }
  return codes
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
