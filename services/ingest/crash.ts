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

/** The same of an undo. */
export const undoCrashPoints = [
  'after-checkpoint',
  'after-grouping',
  'after-generations',
  'inside-publishing',
  'after-publishing',
  'before-completed',
] as const

export type IngestCrashPoint =
  | (typeof ingestCrashPoints)[number]
  | (typeof deadLetterCrashPoints)[number]
  | (typeof undoCrashPoints)[number]

/** Of every kind of work. */
export const allCrashPoints: readonly IngestCrashPoint[] = [
  ...new Set([...ingestCrashPoints, ...deadLetterCrashPoints, ...undoCrashPoints]),
]
export type IngestCrashHook = (point: IngestCrashPoint) => void
