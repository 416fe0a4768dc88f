/** Places at which a test may end the program, in the order in which an upload passes them. */
export const ingestCrashPoints = [
  'after-rows',
  'after-grouping',
  'after-checkpoint',
  'inside-publishing',
  'after-publishing',
  'after-cut-points',
  'after-day',
  'before-completed',
] as const

export type IngestCrashPoint = (typeof ingestCrashPoints)[number]
export type IngestCrashHook = (point: IngestCrashPoint) => void
