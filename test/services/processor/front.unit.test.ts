import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLogger } from '#services/platform/logging.ts'
import { createMetrics, type Metrics } from '#services/platform/metrics.ts'
import type { HostView, TaskHost } from '#services/processor/hosts.ts'
import { type RunningProcessor, startProcessor } from '#services/processor/program.ts'
import type { TaskView } from '#services/processor/task-view.ts'

const task = (partition: number, state: TaskView['state'] = 'running'): TaskView => ({
  ...{ partition, state, fault: null, position: null, end_offset: 0, lag_records: null, lag_seconds: null },
  ...{ as_of: null, model: null, model_in_force: null, state_entries: null, state_bytes: null },
})

/** A host that says what it is told to say. */
class SpokenHost implements TaskHost {
  readonly #calls: string[]
  readonly own: Metrics = createMetrics('processor', { ofProcess: false })
  said: HostView = { joined: true, tasks: [] }
  silent = false

  constructor(calls: string[]) {
    this.#calls = calls
  }
  async prepare() {
    this.#calls.push('prepare')
  }
  async start() {
    this.#calls.push('start')
  }
  async view() {
    if (this.silent) throw new Error('it is gone')
    return this.said
  }
  metrics() {
    return this.own.registry.getMetricsAsJSON()
  }
  async close() {
    this.#calls.push('close')
  }
}

describe('the front of a processor of two threads', () => {
  let calls: string[]
  let hosts: SpokenHost[]
  let processor: RunningProcessor

  beforeEach(async () => {
    calls = []
    hosts = [new SpokenHost(calls), new SpokenHost(calls)]
    const logger = createLogger('processor', 'silent')
    processor = await startProcessor({
      ...{ hosts, logger, metrics: createMetrics('processor'), bind: '127.0.0.1', port: 0 },
    })
  })
  afterEach(() => processor.close())

  const get = (path: string) => fetch(`${processor.url}${path}`)

  test('joins with both when both are prepared', () => {
    expect(calls).toEqual(['prepare', 'prepare', 'start', 'start'])
  })

  test('lists the tasks of both by partition, with their thread', async () => {
    hosts[0]!.said = { joined: true, tasks: [task(0), task(3)] }
    hosts[1]!.said = { joined: true, tasks: [task(1, 'restoring'), task(2)] }
    const { tasks } = (await (await get('/status')).json()) as { tasks: unknown[] }
    expect(tasks).toEqual([
      { ...task(0), thread: 1 },
      { ...task(1, 'restoring'), thread: 2 },
      { ...task(2), thread: 2 },
      { ...task(3), thread: 1 },
    ])
  })

  test('is ready when both have joined and every task runs', async () => {
    hosts[0]!.said = { joined: true, tasks: [task(1)] }
    hosts[1]!.said = { joined: false, tasks: [] }
    const early = await get('/readiness')
    expect(early.status).toBe(503)
    expect(await early.json()).toMatchObject({
      checks: [{ name: 'group', ok: false, message: 'joining' }, { ok: true }],
    })
    hosts[1]!.said = { joined: true, tasks: [task(0, 'stopped')] }
    expect(await (await get('/readiness')).json()).toMatchObject({
      checks: [{ ok: true }, { name: 'task 0', ok: false, message: 'stopped' }, { name: 'task 1', ok: true }],
    })
    hosts[1]!.said = { joined: true, tasks: [task(0)] }
    expect((await get('/readiness')).status).toBe(200)
  })

  test('is not well when one does not answer', async () => {
    expect((await get('/healthcheck')).status).toBe(200)
    hosts[1]!.silent = true
    expect((await get('/healthcheck')).status).toBe(500)
  })

  test('adds up counters and histograms; of a partition that two speak of, the larger lag counts', async () => {
    for (const [index, { own }] of hosts.entries()) {
      own.records.inc({ topic: 't' }, 10 + index)
      own.deadLetters.inc({ reason: index === 0 ? 'a' : 'b' })
      own.stepSeconds.observe({ kind: 'step' }, 0.002 + index)
      own.lagRecords.set({ topic: 't', partition: index }, 5)
      own.lagRecords.set({ topic: 't', partition: 7 }, 3 + index)
    }
    const text = await (await get('/metrics')).text()
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'loyalty_records_total{topic="t",service="processor"} 21',
        'loyalty_dead_letters_total{reason="a",service="processor"} 1',
        'loyalty_dead_letters_total{reason="b",service="processor"} 1',
        'loyalty_step_seconds_bucket{le="0.0025",kind="step",service="processor"} 1',
        'loyalty_step_seconds_bucket{le="+Inf",kind="step",service="processor"} 2',
        'loyalty_step_seconds_sum{kind="step",service="processor"} 1.004',
        'loyalty_step_seconds_count{kind="step",service="processor"} 2',
        'loyalty_lag_records{topic="t",partition="0",service="processor"} 5',
        'loyalty_lag_records{topic="t",partition="1",service="processor"} 5',
        'loyalty_lag_records{topic="t",partition="7",service="processor"} 4',
      ]),
    )
  })

  test('has the metrics of the process and of its server once, with those that are not meant to be added up', async () => {
    await get('/healthcheck')
    const text = await (await get('/metrics')).text()
    for (const name of ['process_cpu_seconds_total', 'process_start_time_seconds', 'nodejs_heap_size_used_bytes'])
      expect(text.match(new RegExp(`^${name}\\{service="processor"\\} `, 'gm')), name).toHaveLength(1)
    expect(text).toMatch(
      /^http_requests_total\{method="GET",route="\/healthcheck",status="200",service="processor"\} 1$/m,
    )
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
    expect(new Set(names).size).toBe(names.length)
  })
})
