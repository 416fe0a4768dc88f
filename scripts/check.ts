/** `npm run check`: types, style and the import table; the table is a test, so that `npm test` has it too. */
import { checks, run } from './checks.ts'

const architecture = { name: 'architecture', args: ['node_modules/vitest/vitest.mjs', 'run', 'test/architecture'] }
let failed = 0
for (const { name, args } of [...checks, architecture]) {
  const code = await run(args)
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name}`)
  if (code !== 0) failed++
}
process.exitCode = failed === 0 ? 0 : 1
