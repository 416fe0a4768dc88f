import { expect, test } from 'vitest'
import { programSpec } from '#services/standalone/program-spec.ts'

test('what NODE_OPTIONS says of memory goes before what a program is started with', () => {
  const optionsOf = (env: Record<string, string>) => programSpec('ingest', env, 'logs').nodeOptions
  const usual = optionsOf({})
  expect(usual).toContain('--max-old-space-size=1024')
  expect(optionsOf({ NODE_OPTIONS: '--max-old-space-size=4096 --trace-warnings' })).toEqual(
    usual?.filter((option) => !option.startsWith('--max-old-space-size')),
  )
})
