import { afterEach, describe, expect, test, vi } from 'vitest'
import { decoderOf } from '#schemas/decoder.ts'
import type { ClassifierLoader } from '#streams/classifier/classifier.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import { Models } from '#streams/topologies/models.ts'
import { eventually } from '../../support/eventually.ts'
import { type DriverOptions, TopologyDriver } from '../../support/loyalty/driver.ts'
import { sale } from '../../support/loyalty/publisher.ts'
import { ruleClassifier } from '../../support/loyalty/rule-classifier.ts'
import { eventOf } from '../../support/loyalty/world.ts'

const jan10 = 19_732
const dayMs = 86_400_000
const nameOf = (version: string) => `rule/${version}/${version.padStart(64, '0')}`

/** Rule classifiers by version, of which some are out of reach, some refused and some a defect of the loader. */
class Shelf implements ClassifierLoader {
  readonly missing = new Set<string>()
  readonly refused = new Set<string>()
  readonly broken = new Set<string>()
  readonly asked: string[] = []
  closed = 0

  async load({ version }: { version: string }) {
    this.asked.push(version)
    if (this.missing.has(version)) throw new LoyaltyError('model_unavailable', 'not there', { retriable: true })
    if (this.refused.has(version)) throw new LoyaltyError('model_refused', 'another digest')
    if (this.broken.has(version)) throw new TypeError('a defect')
    return { ...ruleClassifier(version), close: async () => void this.closed++ }
  }
}

let driver: TopologyDriver | null = null

afterEach(async () => {
  await driver?.close()
  driver = null
})

/** Clients between the limits of two versions of the model: who is at risk by one is not by the next. */
const clients = Array.from({ length: 20 }, (_, i) => `c${i}`)

async function programme(shelf: Shelf, options: DriverOptions = {}) {
  driver = await TopologyDriver.open({ classifiers: shelf, modelRetryMs: 5, settings: { sweepSlice: 3 }, ...options })
  const { publisher } = driver
  await publisher.programme()
  await publisher.model('1')
  await publisher.cutPoints([30], [1], [5_000])
  await publisher.day(jan10)
  await publisher.transactions(clients.map((id) => sale(id, { occurred_at: (jan10 - 60) * dayMs })))
  return { driver, publisher }
}

type Started = Awaited<ReturnType<TopologyDriver['startWorker']>>

/** Resolves once the tasks of the worker have evaluated every row with a version of the model. */
function evaluatedWith(worker: Started, version: string) {
  return eventually(() => {
    const positions = worker.tasks.map(({ position }) => position)
    return (
      positions.length === 2 &&
      positions.every((position) => position?.evaluatedWith === nameOf(version) && position.sweep === null)
    )
  })
}

/** Model and segment of the newest row of every client. */
async function rows(from: TopologyDriver): Promise<Record<string, string>> {
  const decoder = decoderOf(from.registry, 'ClientStateChanged')
  const newest: Record<string, string> = {}
  for (const { value } of from.log.records(from.topics.clientState)) {
    const row = eventOf(await decoder.read(value))
    newest[row.client_id] = `${row.model_version} ${row.segment}`
  }
  return newest
}

async function causes(from: TopologyDriver): Promise<Record<string, number>> {
  const decoder = decoderOf(from.registry, 'ClientReclassified')
  const counts: Record<string, number> = {}
  for (const { value } of from.log.records(from.topics.clientReclassified)) {
    const { cause } = eventOf(await decoder.read(value))
    counts[cause] = (counts[cause] ?? 0) + 1
  }
  return counts
}

/** The tasks are at rest: a transaction brings one step, and nothing else does. */
async function oneStepFollows(worker: Started): Promise<void> {
  const steps = driver!.steps.length
  await driver!.publisher.transactions([sale('c0', { occurred_at: (jan10 - 60) * dayMs })])
  await driver!.settled(worker)
  expect(driver!.steps.slice(steps)).toMatchObject([{ records: 1, swept: false }])
}

const all = (value: string) => Object.fromEntries(clients.map((id) => [id, value]))

describe('a model that is out of reach when it is activated', () => {
  /** The second version is activated in vain; then a day passes, after which the two differ on every client. */
  async function outOfReach() {
    const shelf = new Shelf()
    const { driver, publisher } = await programme(shelf)
    const worker = await driver.startWorker()
    await driver.settled(worker)
    shelf.missing.add('2')
    await publisher.model('2')
    await publisher.day(jan10 + 45)
    await driver.settled(worker)
    expect(await rows(driver)).toEqual(all('1 at_risk'))
    return { shelf, driver, publisher, worker }
  }

  test('is taken to all clients by a sweep of its own once it is there, though nothing happens', async () => {
    const { shelf, driver, worker } = await outOfReach()
    shelf.missing.clear()
    await evaluatedWith(worker, '2')
    expect(await rows(driver)).toEqual(all('2 new'))
    expect(await causes(driver)).toEqual({ purchase: 20, time: 20, model: 20 })
    await driver.check()
  })

  test('is asked for again and again without a step, and told of once', async () => {
    const { shelf, driver, worker } = await outOfReach()
    const steps = driver.steps.length
    const asked = shelf.asked.length
    await eventually(() => shelf.asked.length > asked + 5)
    expect(driver.steps).toHaveLength(steps)
    expect(driver.warnings.filter(({ code }) => code === 'model_unavailable')).toHaveLength(1)
    expect(worker.tasks.map(({ position }) => position?.evaluatedWith)).toEqual([nameOf('1'), nameOf('1')])
  })

  test('leaves no further steps behind once it is there', async () => {
    const { shelf, worker } = await outOfReach()
    shelf.missing.clear()
    await evaluatedWith(worker, '2')
    await oneStepFollows(worker)
  })

  test('leaves the one before in force also after a restart', async () => {
    const { driver, publisher, worker } = await outOfReach()
    await worker.close()
    const restarted = await driver.startWorker()
    await publisher.transactions([sale('late', { occurred_at: (jan10 - 60) * dayMs })])
    await driver.settled(restarted)
    expect(await rows(driver)).toEqual({ ...all('1 at_risk'), late: '1 at_risk' })
  })

  test('is found by a successor that has it, though nothing happens', async () => {
    const { shelf, driver, worker } = await outOfReach()
    await worker.close()
    const successor = await driver.startWorker({ classifiers: new Shelf() })
    await evaluatedWith(successor, '2')
    shelf.missing.clear()
    expect(await rows(driver)).toEqual(all('2 new'))
    expect(await causes(driver)).toEqual({ purchase: 20, time: 20, model: 20 })
    await driver.check()
  })

  test('is still the cause where a successor goes on with the sweep', async () => {
    const { shelf, driver, worker } = await outOfReach()
    await worker.close()
    let slices = 0
    let closed: Promise<void> | null = null
    const first = await driver.startWorker({
      classifiers: new Shelf(),
      crash: (point) => {
        if (point === 'inside-sweep-slice' && ++slices === 3) closed = first.close()
      },
    })
    await eventually(() => closed !== null)
    await closed
    expect(Object.values(await rows(driver)).filter((row) => row === '1 at_risk')).not.toHaveLength(0)
    const second = await driver.startWorker({ classifiers: new Shelf() })
    await evaluatedWith(second, '2')
    shelf.missing.clear()
    expect(await rows(driver)).toEqual(all('2 new'))
    expect(await causes(driver)).toEqual({ purchase: 20, time: 20, model: 20 })
    await driver.check()
  })
})

test('a processor that refuses the newest model takes all clients to the one before, and a successor takes them back', async () => {
  const shelf = new Shelf()
  const { driver, publisher } = await programme(shelf)
  await publisher.model('2')
  await publisher.day(jan10 + 45)
  const worker = await driver.startWorker()
  await driver.settled(worker)
  expect(await rows(driver)).toEqual(all('2 new'))
  await worker.close()
  const refusing = new Shelf()
  refusing.refused.add('2')
  const successor = await driver.startWorker({ classifiers: refusing })
  await evaluatedWith(successor, '1')
  expect(await rows(driver)).toEqual(all('1 at_risk'))
  await successor.close()
  const third = await driver.startWorker()
  await evaluatedWith(third, '2')
  expect(await rows(driver)).toEqual(all('2 new'))
  expect(await causes(driver)).toEqual({ purchase: 20, model: 40 })
  await driver.check()
})

test('a restart with the same models makes no step', async () => {
  const { driver } = await programme(new Shelf())
  const worker = await driver.startWorker()
  await driver.settled(worker)
  await worker.close()
  const steps = driver.steps.length
  const shelf = new Shelf()
  const restarted = await driver.startWorker({ classifiers: shelf })
  await driver.settled(restarted)
  await eventually(() => shelf.asked.length > 0)
  await oneStepFollows(restarted)
  expect(driver.steps).toHaveLength(steps + 1)
})

test('a position that does not name its model yet brings one sweep, after which it does', async () => {
  const { driver } = await programme(new Shelf())
  const worker = await driver.startWorker()
  await driver.settled(worker)
  await worker.close()
  for (const partition of [0, 1])
    for (const { headers } of driver.log.broker.partition(driver.topics.accepted, partition).records) {
      const [[name, bytes]] = Object.entries(headers) as [[string, Uint8Array]]
      const { evaluatedWith: _e, sweepCause: _s, ...older } = JSON.parse(Buffer.from(bytes).toString())
      Object.assign(headers, { [name]: Buffer.from(JSON.stringify(older)) })
    }
  const steps = driver.steps.length
  const restarted = await driver.startWorker()
  await evaluatedWith(restarted, '1')
  const swept = driver.steps.slice(steps)
  expect(swept.reduce((sum, { evaluated }) => sum + evaluated, 0)).toBe(clients.length)
  expect(swept.every(({ rows }) => rows === 0)).toBe(true)
  await driver.check()
})

test('before the first date no model is asked for and none is named; the date is the cause of what it brings', async () => {
  const shelf = new Shelf()
  driver = await TopologyDriver.open({ classifiers: shelf, modelRetryMs: 5 })
  const { publisher } = driver
  await publisher.programme()
  await publisher.model('1')
  const worker = await driver.startWorker()
  await publisher.transactions(clients.map((id) => sale(id)))
  await driver.settled(worker)
  expect(shelf.asked).toEqual([])
  expect(worker.tasks.map(({ position }) => position?.evaluatedWith)).toEqual([null, null])
  expect(driver.steps.some(({ swept }) => swept)).toBe(false)
  await publisher.day(jan10)
  await evaluatedWith(worker, '1')
  expect(await causes(driver)).toEqual({ time: clients.length })
})

describe('the models of a process', () => {
  const model = (version: string) => ({ id: 'rule', version, sha256: version.padStart(64, '0') })
  const told: string[] = []
  const opened: Models[] = []
  const open = (shelf: Shelf, retryAfterMs = 5) => {
    const models = new Models(shelf, ({ version }, { code }) => void told.push(`${version} ${code}`), retryAfterMs)
    opened.push(models)
    return models
  }
  afterEach(async () => {
    vi.useRealTimers()
    told.length = 0
    await Promise.all(opened.splice(0).map((models) => models.close()))
  })

  test('fall back to one that was in force, and to no other', async () => {
    const shelf = new Shelf()
    shelf.missing.add('2')
    const models = open(shelf)
    const activated = [model('2'), model('1')]
    await expect(models.newest(activated, null)).rejects.toMatchObject({ code: 'model_unavailable', retriable: true })
    expect(models.known(activated)).toBeUndefined()
    expect(await models.newest(activated, nameOf('1'))).toMatchObject({ name: nameOf('1') })
    expect(models.known(activated)).toBe(nameOf('1'))
  })

  test('answer none where all are refused, but not where one is out of reach and the one in force is refused', async () => {
    const shelf = new Shelf()
    shelf.refused.add('1')
    const models = open(shelf)
    expect(await models.newest([model('1')], null)).toBeNull()
    expect(models.known([model('1')])).toBeNull()
    shelf.missing.add('2')
    await expect(models.newest([model('2'), model('1')], nameOf('1'))).rejects.toMatchObject({
      code: 'model_unavailable',
    })
  })

  test('take a defect of the loader for something that passes', async () => {
    const shelf = new Shelf()
    shelf.broken.add('1')
    await expect(open(shelf).newest([model('1')], null)).rejects.toMatchObject({
      code: 'model_unavailable',
      retriable: true,
    })
  })

  test('tell of a failure again only when it is another', async () => {
    const shelf = new Shelf()
    shelf.missing.add('1')
    const models = open(shelf)
    let heard = 0
    models.watch(() => void heard++)
    await models.newest([model('1')], null).catch(() => {})
    await eventually(() => shelf.asked.length > 3)
    expect(told).toEqual(['1 model_unavailable'])
    shelf.missing.clear()
    shelf.refused.add('1')
    await eventually(() => told.length > 1)
    expect(told).toEqual(['1 model_unavailable', '1 model_refused'])
    expect(heard).toBe(2)
  })

  test('wait for nothing once the newest is there', async () => {
    vi.useFakeTimers()
    const shelf = new Shelf()
    shelf.missing.add('2')
    const models = open(shelf, 10_000)
    await models.newest([model('2'), model('1')], nameOf('1'))
    expect(vi.getTimerCount()).toBe(1)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(shelf.asked).toEqual(['2', '1', '2'])
    shelf.missing.clear()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(models.known([model('2'), model('1')])).toBe(nameOf('2'))
    expect(vi.getTimerCount()).toBe(0)
  })

  test('once closed wait for nothing and hold nothing open', async () => {
    vi.useFakeTimers()
    const shelf = new Shelf()
    shelf.missing.add('2')
    const models = open(shelf)
    await models.newest([model('2'), model('1')], nameOf('1'))
    await models.close()
    expect(vi.getTimerCount()).toBe(0)
    expect(shelf.closed).toBe(1)
    await expect(models.newest([model('3')], null)).rejects.toMatchObject({ code: 'stopping' })
  })
})
