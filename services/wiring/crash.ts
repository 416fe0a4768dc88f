import { LoyaltyError } from '#streams/core/error.ts'

/**
 * A hook that kills the process at the point that CRASH_AT names: `<point>` at its first passing, `<point>:<n>` at its
 * n-th, which every thread that has a hook counts for itself. Null where CRASH_AT is not set, or names a point of another program.
 *
 * Errors: `config_invalid` unless NODE_ENV is test.
 */
export function crashHook<Point extends string>(
  env: Readonly<Record<string, string | undefined>>,
  points: readonly Point[],
): ((point: Point) => void) | null {
  if (!env.CRASH_AT) return null
  if (env.NODE_ENV !== 'test')
    throw new LoyaltyError('config_invalid', 'CRASH_AT is for tests: it needs NODE_ENV=test', {
      details: { faults: [{ variable: 'CRASH_AT', fault: 'needs NODE_ENV=test' }] },
    })
  const [name, times = '1'] = env.CRASH_AT.split(':')
  if (!(points as readonly string[]).includes(name ?? '')) return null
  let left = Number(times)
  return (point) => {
    if (point === name && --left === 0) process.kill(process.pid, 'SIGKILL')
  }
}
