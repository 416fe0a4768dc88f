/** What one committed step of a task did; times in milliseconds. */
export interface StepReport {
  readonly partition: number
  readonly step: number
  readonly records: number
  readonly evaluated: number
  readonly rows: number
  readonly reclassified: number
  readonly dead: number
  /** Records passed on to the partition that they belong to. */
  readonly forwarded: number
  /** Whether the step took a slice of a sweep. */
  readonly swept: boolean
  readonly foldMs: number
  readonly evaluateMs: number
  readonly produceMs: number
  readonly commitMs: number
  readonly storeMs: number
}

/** Where the runtime tells what it does. Logic never writes telemetry itself. */
export interface RuntimeObserver {
  stepped(report: StepReport): void
  /** A task changed its state. */
  transition(partition: number, from: string, to: string): void
  /** Progress of a restore: offsets done of those to do, of `ledgers` or `rows`. */
  restoring(partition: number, what: 'ledgers' | 'rows', done: number, total: number): void
  deadLetter(partition: number, offset: number, reason: string, detail: string): void
  /** Something an operator should know and need not act on at once. `code` is stable. */
  warning(code: string, message: string, details: Readonly<Record<string, unknown>>): void
  /** A task stopped and stays stopped until somebody acts. */
  stopped(partition: number, code: string, message: string): void
}

export const silentObserver: RuntimeObserver = {
  stepped() {},
  transition() {},
  restoring() {},
  deadLetter() {},
  warning() {},
  stopped() {},
}
