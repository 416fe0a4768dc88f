import type { Figures } from './bench.ts'

/** A figure that was promised: at least, or below, a number. */
interface Floor {
  /** Key of the comparison; says its unit. */
  readonly name: string
  readonly bench: string
  readonly figure: string
  readonly atLeast?: number
  readonly below?: number
}

/** What the product is to reach with model, ledgers and durable state on, on two cores that it shares with the broker. */
const floors: readonly Floor[] = [
  { name: 'kafka_zipf_events_per_second', bench: 'kafka-zipf', figure: 'events_per_second', atLeast: 120_000 },
  { name: 'kafka_uniform_events_per_second', bench: 'kafka-uniform', figure: 'events_per_second', atLeast: 60_000 },
  { name: 'kafka_zipf_processor_mib', bench: 'kafka-zipf', figure: 'processor_peak_rss_mib', below: 1_536 },
  { name: 'kafka_uniform_processor_mib', bench: 'kafka-uniform', figure: 'processor_peak_rss_mib', below: 1_536 },
  {
    name: 'zipf_replay_events_per_second',
    bench: 'fold',
    figure: 'zipf_replay_events_per_second',
    atLeast: 400_000,
  },
  {
    name: 'uniform_replay_events_per_second',
    bench: 'fold',
    figure: 'uniform_replay_events_per_second',
    atLeast: 400_000,
  },
  {
    name: 'classifier_rows_per_second',
    bench: 'classifier',
    figure: 'rows_per_second_batch_256',
    atLeast: 250_000,
  },
  { name: 'event_to_profile_p99_ms', bench: 'latency', figure: 'p99_ms', below: 300 },
  { name: 'event_to_profile_while_sweeping_p99_ms', bench: 'latency', figure: 'sweep_p99_ms', below: 500 },
  {
    name: 'dry_run_ascii_lines_per_second',
    bench: 'dry-run',
    figure: 'ascii_lines_per_second',
    atLeast: 150_000,
  },
  {
    name: 'dry_run_windows_1251_lines_per_second',
    bench: 'dry-run',
    figure: 'windows_1251_lines_per_second',
    atLeast: 150_000,
  },
  { name: 'upload_fours_lines_per_second', bench: 'upload', figure: 'fours_lines_per_second', atLeast: 60_000 },
  { name: 'upload_mixed_lines_per_second', bench: 'upload', figure: 'mixed_lines_per_second', atLeast: 60_000 },
  { name: 'upload_equal_lines_per_second', bench: 'upload', figure: 'equal_lines_per_second', atLeast: 60_000 },
  // 400 MB.
  { name: 'large_file_dry_run_mib', bench: 'large-file', figure: 'dry_run_peak_rss_mib', below: 381 },
  { name: 'large_file_ingest_mib', bench: 'large-file', figure: 'ingest_peak_rss_mib', below: 381 },
  { name: 'workbook_rows_per_second', bench: 'workbook', figure: 'rows_per_second', atLeast: 30_000 },
  { name: 'file_to_completed_seconds', bench: 'file', figure: 'file_to_completed_seconds', below: 20 },
  { name: 'start_up_seconds', bench: 'file', figure: 'start_up_seconds', below: 15 },
]

/** `measured` is null where the bench ran and has no such figure, which meets nothing. */
export interface Comparison {
  readonly measured: number | null
  readonly floor: number
  readonly met: boolean
}

/** Compares the figures of the benches that ran, by the name of the floor. */
export function compareWithFloors(results: Readonly<Record<string, Figures>>): Record<string, Comparison> {
  const compared = floors.flatMap((floor) => {
    const figures = results[floor.bench]
    return figures === undefined ? [] : [[floor.name, comparisonOf(floor, figures[floor.figure])] as const]
  })
  return Object.fromEntries(compared)
}

function comparisonOf({ atLeast, below }: Floor, figure: Figures[string] | undefined): Comparison {
  const measured = typeof figure === 'number' && Number.isFinite(figure) ? figure : null
  const met = measured !== null && (below === undefined || measured < below) && measured >= (atLeast ?? 0)
  return { measured, floor: atLeast ?? below ?? 0, met }
}

/** The comparison as lines of text, for a person. */
export function describeFloors(compared: Readonly<Record<string, Comparison>>): string[] {
  const plain = (value: number) => value.toLocaleString('en-GB')
  return floors.flatMap(({ name, below }) => {
    const comparison = compared[name]
    if (comparison === undefined) return []
    const measured = comparison.measured === null ? 'none' : plain(comparison.measured)
    const floor = `${below === undefined ? 'at least' : 'below'} ${plain(comparison.floor)}`
    return [`  ${name.padEnd(40)} ${measured.padStart(10)}   ${floor.padEnd(18)} ${comparison.met ? 'met' : 'MISSED'}`]
  })
}
