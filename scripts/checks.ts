import { spawn } from 'node:child_process'
import { dirname } from 'node:path'

/** The project's folder. */
export const root = dirname(import.meta.dirname)

/** Checks that read the source and run nothing of it. */
export const checks = [
  { name: 'types', args: ['node_modules/typescript/bin/tsc', '-p', '.'] },
  { name: 'style', args: ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings'] },
]

/** Runs a script under this Node from the project's root; resolves with its exit code. */
export function run(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' })
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)))
}
