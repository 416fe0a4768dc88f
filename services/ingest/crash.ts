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

/** Another one, which only work on dead letters passes. */
export const deadLetterCrashPoints = ['inside-replay'] as const

export type IngestCrashPoint = (typeof ingestCrashPoints)[number] | (typeof deadLetterCrashPoints)[number]
export type IngestCrashHook = (point: IngestCrashPoint) => void
