import { dirname, join } from 'node:path'
import type { ProgramSpec } from './child-program.ts'

/**
 * What Node is told for a program. Half of what the processor makes lives as long as a step: with young generations of four
 * times the usual size more of it dies before it is copied (measured by `npm run bench -- --only kafka-zipf`). Threads of
 * the processor share that room. Of what ingest makes of a row hardly anything lives on: half the usual room costs it little time
 * and holds a file of 10 million rows below 400 MB (`--only large-file`).
 */
const nodeOptions: Readonly<Record<string, readonly string[]>> = {
  processor: ['--max-semi-space-size=64'],
  ingest: ['--max-semi-space-size=16'],
}

/**
 * What a program's environment has besides. The C library gives threads arenas of their own, and each keeps what was freed in
 * it: with no more than two, ingest takes a quarter less memory for a large file, in the same time (`--only large-file`).
 */
const environments: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  ingest: { MALLOC_ARENA_MAX: '2' },
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
    nodeOptions: nodeOptions[name] ?? [],
    env: { ...environments[name], ...env },
    logFile: join(logDirectory, `${name}.log`),
  }
}
