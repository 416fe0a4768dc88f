import type { ProgrammeConfigured } from '#schemas/events.ts'
import { isoOfDay } from '#streams/domain/calendar.ts'
import type { BatchOutcome } from './accepted.ts'
import type { ControlState } from './control.ts'
import type { LateVerdicts } from './late-verdicts.ts'
import type { ProgrammeFigures } from './ports.ts'
import type { ReceiptsManifest } from './receipts/receipt-pass.ts'
import type { OutlierRule, ReportVerdict, UploadReport } from './report.ts'
import type { Conflicts } from './undo/conflicts.ts'
import { FirstVerdicts, type Flag, sentences } from './verdicts.ts'

/** What a report is made of. */
export interface Findings {
  readonly events: ReceiptsManifest
  readonly late: LateVerdicts
  readonly outcome: BatchOutcome
  /** Null where there are none. */
  readonly conflicts: Conflicts | null
  readonly programme: ProgrammeConfigured
  readonly control: ControlState
  readonly figures: Awaited<ReturnType<ProgrammeFigures['read']>>
  readonly seconds: Readonly<Record<string, number>>
}

export function reportOf(findings: Findings): UploadReport {
  const { events, late, outcome, conflicts, programme, figures, seconds } = findings
  const { day, cutPoints } = findings.control
  const { tally, input } = events
  return {
    lines: tally.acceptedRows + tally.rejectedRows,
    rows: { accepted: tally.acceptedRows, rejected: tally.rejectedRows },
    accepted: outcome.accepted,
    sales: outcome.sales,
    refunds: outcome.refunds,
    voids: outcome.voids,
    duplicates: outcome.duplicates,
    dead_letters: outcome.dead,
    rejected: conflicts === null ? tally.rejected : { ...tally.rejected, conflict: conflicts.count },
    flagged: flaggedOf(events, late),
    outliers: ruleOf(events),
    verdicts: verdictsOf(events, late),
    clients: outcome.clients.size,
    buyers: figures.buyers,
    gross_minor: outcome.grossMinor,
    refunded_minor: outcome.refundedMinor,
    currency: programme.currency,
    as_of: day === null ? null : isoOfDay(day),
    cut_points: cutPoints && {
      recency_days: cutPoints.recency_days,
      frequency: cutPoints.frequency,
      monetary_minor: cutPoints.monetary_minor,
      basis: cutPoints.basis,
    },
    segments: figures.segments,
    seconds,
    input,
    ...(conflicts === null ? {} : { conflicts: { count: conflicts.count, first: conflicts.first } }),
  }
}

function flaggedOf({ outliers }: ReceiptsManifest, { unknownOriginals }: LateVerdicts): Partial<Record<Flag, number>> {
  return {
    ...(outliers.flagged === 0 ? {} : { outlier: outliers.flagged }),
    ...(unknownOriginals === 0 ? {} : { unknown_original: unknownOriginals }),
  }
}

function ruleOf({ outliers }: ReceiptsManifest): OutlierRule {
  const { above_minor, max_minor, mads, median_minor, mad_minor } = outliers
  return { above_minor, max_minor, mads, median_minor, mad_minor }
}

function verdictsOf(events: ReceiptsManifest, late: LateVerdicts): ReportVerdict[] {
  const first = new FirstVerdicts()
  for (const verdict of [...events.verdicts, ...late.verdicts]) first.add(verdict)
  return first.list().map((verdict) => ({ ...verdict, sentence: sentences[verdict.code] }))
}
