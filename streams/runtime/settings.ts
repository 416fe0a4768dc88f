/** Bounds of a task's work. Counts are records or clients, times milliseconds. */
export interface TaskSettings {
  /** Most records folded in one step. */
  readonly maxStepRecords: number
  /** Most bytes of records folded in one step. */
  readonly maxStepBytes: number
  /** A step ends with the batch in which it has touched this many clients: they are what it takes in memory. */
  readonly maxStepClients: number
  /** Clients evaluated in one slice of a sweep. */
  readonly sweepSlice: number
  /** Bytes waiting in a task's inbox above which reading of its partition pauses. */
  readonly inboxBytes: number
  /**
   * Below this many waiting records a task lets time pass since its last commit before it starts a step: as much as that
   * step took, from `lingerMs` to `maxLingerMs`.
   */
  readonly lingerRecords: number
  readonly lingerMs: number
  readonly maxLingerMs: number
  /**
   * From there to so many, where that step had as many, it lets three times as much pass as it took, to `maxGatherMs`.
   */
  readonly gatherRecords: number
  readonly maxGatherMs: number
  /** A task stops when more than this share of the last `deadLetterWindow` records were dead letters. */
  readonly deadLetterShare: number
  readonly deadLetterWindow: number
  readonly backoffMs: number
  readonly maxBackoffMs: number
}

export const defaultTaskSettings: TaskSettings = {
  maxStepRecords: 40_000,
  maxStepBytes: 16 * 1024 * 1024,
  maxStepClients: 8_000,
  sweepSlice: 2_000,
  inboxBytes: 16 * 1024 * 1024,
  lingerRecords: 200,
  lingerMs: 40,
  maxLingerMs: 100,
  gatherRecords: 4_000,
  maxGatherMs: 500,
  deadLetterShare: 0.2,
  deadLetterWindow: 10_000,
  backoffMs: 50,
  maxBackoffMs: 5_000,
}
