import { dirname, join } from 'node:path'
import type { ProgramSpec } from './child-program.ts'

/**
 * What Node is told for a program. Half of what the processor makes lives as long as a step: with young generations of four
 * times the usual size more of it dies before it is copied (measured by `npm run bench -- --only kafka-zipf`). Threads of
 * the processor share that room.
 *
 * Of what ingest makes of a row hardly anything lives on, so half the usual room costs it little time. The less old memory
 * V8 may take, the sooner it looks what of it is garbage: with 1 GiB, ten times what it needs, a file of 10 million rows takes
 * it below 400 MB, which with V8's own limit of some GiB it does not (`--only large-file`). `npm run loyalty -- ingest` and
 * Docker Compose have the same options.
 *
 * What NODE_OPTIONS says of the same thing goes before.
 */
const nodeOptions: Readonly<Record<string, readonly string[]>> = {
  processor: ['--max-semi-space-size=64'],
  ingest: ['--max-semi-space-size=16', '--max-old-space-size=1024'],
}

/** How to start the program of this name. */
export function programSpec(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
  logDirectory: string,
): ProgramSpec {
  const services = dirname(import.meta.dirname)
  return {
    name,
    entry: join(services, name, 'main.ts'),
    nodeOptions: (nodeOptions[name] ?? []).filter((option) => !isSaid(option, env.NODE_OPTIONS)),
    env,
    logFile: join(logDirectory, `${name}.log`),
  }
}

function isSaid(option: string, given = ''): boolean {
  return given.includes(option.slice(0, option.indexOf('=')))
}
