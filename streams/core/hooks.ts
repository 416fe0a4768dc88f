/**
 * Places at which a test may end the process, in the order in which a step and a takeover pass them (runtime.md §7).
 * A main passes a hook that kills the process at the point named by CRASH_AT; everything else passes `noCrash`.
 */
export const crashPoints = [
  'after-fold',
  'after-produce',
  'before-commit',
  'commit-sent-reply-lost',
  'after-commit',
  'inside-store',
  'after-store',
  'after-fencing',
  'inside-restore-ledgers',
  'inside-restore-rows',
  'inside-sweep-slice',
  'inside-context-change',
] as const

export type CrashPoint = (typeof crashPoints)[number]

/** Called at each crash point; may end the process or throw. */
export type CrashHook = (point: CrashPoint) => void

export const noCrash: CrashHook = () => {}

/** A hook for the inside of a store's transaction, which keeps it on this thread: none where nothing would crash. */
export function insideHook(crash: CrashHook, point: CrashPoint): (() => void) | undefined {
  return crash === noCrash ? undefined : () => crash(point)
}
