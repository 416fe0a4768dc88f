import type {
  CutPointsPublished,
  DayStarted,
  ModelActivated,
  ProgrammeConfigured,
  TransactionRecorded,
} from '#schemas/events.ts'

/** The fields of a transaction that the stream reads; what it does not need is skipped while decoding. */
export type StreamedTransaction = Omit<TransactionRecorded, 'attributes'>

/** The control events as one decoded union. */
export interface ControlEvents {
  ProgrammeConfigured: ProgrammeConfigured
  DayStarted: DayStarted
  CutPointsPublished: CutPointsPublished
  ModelActivated: ModelActivated
}
