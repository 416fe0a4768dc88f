import { expect, it } from 'vitest'
import { compareWithFloors, describeFloors } from './floors.ts'

it('compares what was measured with what was promised, at least or below', () => {
  const compared = compareWithFloors({
    fold: { zipf_replay_events_per_second: null, uniform_replay_events_per_second: 400_000 },
    'kafka-zipf': { events_per_second: 120_000, processor_peak_rss_mib: 1_536 },
    latency: { p99_ms: 299.9, sweep_p99_ms: 500 },
  })
  expect(compared).toEqual({
    kafka_zipf_events_per_second: { measured: 120_000, floor: 120_000, met: true },
    kafka_zipf_processor_mib: { measured: 1_536, floor: 1_536, met: false },
    zipf_replay_events_per_second: { measured: null, floor: 400_000, met: false },
    uniform_replay_events_per_second: { measured: 400_000, floor: 400_000, met: true },
    event_to_profile_p99_ms: { measured: 299.9, floor: 300, met: true },
    event_to_profile_while_sweeping_p99_ms: { measured: 500, floor: 500, met: false },
  })
})

it('counts a bench that failed as a miss, and leaves out those that did not run', () => {
  const compared = compareWithFloors({ file: { error: 'it broke' } })
  expect(Object.keys(compared)).toEqual(['file_to_completed_seconds', 'start_up_seconds'])
  expect(Object.values(compared).map(({ met }) => met)).toEqual([false, false])
})

it('says it plainly', () => {
  const [line, ...more] = describeFloors(compareWithFloors({ classifier: { rows_per_second_batch_256: 351_545 } }))
  expect(line).toMatch(/^ {2}classifier_rows_per_second +351,545 +at least 250,000 +met$/)
  expect(more).toEqual([])
  const missed = describeFloors(compareWithFloors({ latency: { p99_ms: 598, sweep_p99_ms: null } }))
  expect(missed[0]).toMatch(/598 +below 300 +MISSED$/)
  expect(missed[1]).toMatch(/none +below 500 +MISSED$/)
})
