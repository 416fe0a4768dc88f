import { afterEach, describe, expect, test } from 'vitest'
import type { ClassifierLoader } from '#streams/classifier/classifier.ts'
import { FaultSearch, type Parts } from '#streams/runtime/fault-search.ts'
import { eventually } from '../../support/eventually.ts'
import { type DriverOptions, TopologyDriver } from '../../support/loyalty/driver.ts'
import { sale } from '../../support/loyalty/publisher.ts'
import { ruleClassifier } from '../../support/loyalty/rule-classifier.ts'

const full: Parts = { control: 100, clients: 8, records: 16 }
const none: Parts = { control: 0, clients: 0, records: 0 }

describe('the search for what makes steps fail', () => {
  /** Works until nothing is left or a part is at fault; answers the parts of every step, and what was found. */
  function search(work: { -readonly [part in keyof Parts]: number }, fails: (taken: Parts) => boolean) {
    const searching = new FaultSearch(full)
    const steps: Parts[] = []
    for (let tries = 0; tries < 200; tries++) {
      const limits = searching.limits(work)
      const taken: Parts = {
        control: Math.min(work.control, limits.control),
        clients: Math.min(work.clients, limits.clients),
        records: Math.min(work.records, limits.records),
      }
      if (taken.control + taken.clients + taken.records === 0) return { found: null, steps, work }
      steps.push(taken)
      if (fails(taken)) {
        const found = searching.failed(taken)
        if (found !== null) return { found, steps, work }
        continue
      }
      searching.succeeded(taken)
      for (const part of ['control', 'clients', 'records'] as const) work[part] -= taken[part]
    }
    throw new Error('the search does not end')
  }

  test('tries a mixed step once more, then its parts one after the other', () => {
    const { steps } = search(
      { control: 2, clients: 3, records: 5 },
      ({ control, clients }) => control > 0 && clients > 0,
    )
    expect(steps).toEqual([
      { control: 2, clients: 3, records: 5 },
      { control: 2, clients: 3, records: 5 },
      { ...none, control: 2 },
      { ...none, clients: 3 },
      { ...none, records: 5 },
    ])
  })

  for (const part of ['control', 'clients', 'records'] as const)
    test(`halves ${part} alone where they fail alone, and the other parts get on`, () => {
      const start = { control: 6, clients: 6, records: 6 }
      const { found, work } = search({ ...start }, (taken) => start[part] > 0 && taken[part] >= 1)
      expect(found).toBe(part)
      expect(work[part]).toBe(6)
      // Who has its turn before it was done.
      if (part !== 'control') expect(work.control).toBe(0)
    })

  test('blames nothing for a step without work', () => {
    const searching = new FaultSearch(full)
    for (let i = 0; i < 10; i++) expect(searching.failed(none)).toBeNull()
    expect(searching.limits({ control: 1, clients: 1, records: 1 })).toEqual(full)
  })

  test('blames nothing for one failure', () => {
    const searching = new FaultSearch(full)
    expect(searching.failed({ ...none, records: 1 })).toBeNull()
    searching.succeeded({ ...none, records: 1 })
    expect(searching.failed({ ...none, records: 1 })).toBeNull()
  })

  test('lets steps grow back and be mixed again after successes', () => {
    const searching = new FaultSearch(full)
    const work = { control: 0, clients: 8, records: 16 }
    searching.failed(work)
    searching.failed(work)
    searching.succeeded({ ...none, clients: 8 })
    searching.failed({ ...none, records: 16 })
    searching.failed({ ...none, records: 16 })
    expect(searching.limits(work)).toEqual({ ...none, records: 8 })
    searching.failed({ ...none, records: 8 })
    expect(searching.limits(work)).toEqual({ ...none, records: 4 })
    searching.succeeded({ ...none, records: 4 })
    expect(searching.limits(work)).toEqual({ ...none, clients: 8 })
    searching.succeeded({ ...none, clients: 8 })
    searching.succeeded({ ...none, records: 8 })
    expect(searching.limits(work)).toEqual(full)
  })
})

describe('a task stops and names', () => {
  const jan10 = 19_732
  const dayMs = 86_400_000
  let driver: TopologyDriver
  afterEach(() => driver.close())

  /** A classifier with a defect: it fails for who bought three times, once the last purchase is `recency` days ago. */
  function failing(recency: number): ClassifierLoader {
    return {
      load: async ({ version }) => {
        const rule = ruleClassifier(version)
        return {
          ...rule,
          classify: async (rows, count) => {
            for (let i = 0; i < count; i++)
              if (rows[i * 2]! >= recency && rows[i * 2 + 1] === 3) throw new Error('three purchases are too many')
            return rule.classify(rows, count)
          },
        }
      },
    }
  }

  async function open(options: DriverOptions) {
    driver = await TopologyDriver.open({ partitions: 1, ...options })
    const { publisher } = driver
    await publisher.programme()
    await publisher.model('1')
    await publisher.day(jan10)
    return publisher
  }

  const bought = (id: string, times: number) =>
    Array.from({ length: times }, () => sale(id, { occurred_at: jan10 * dayMs }))
  /** c07 is who bought three times. */
  const clients = Array.from({ length: 20 }, (_, i) => `c${String(i).padStart(2, '0')}`)
  const traffic = clients.flatMap((id, i) => bought(id, i === 7 ? 3 : 1))

  test('the client of a sweep at which it failed, whatever transactions come meanwhile', async () => {
    const publisher = await open({ classifiers: failing(40), settings: { sweepSlice: 6, maxStepRecords: 7 } })
    const worker = await driver.startWorker()
    await publisher.transactions(traffic)
    await driver.settled(worker)
    await Promise.all([
      publisher.day(jan10 + 50),
      publisher.transactions(clients.filter((id) => id > 'c10').flatMap((id) => bought(id, 1))),
    ])
    await eventually(() => driver.stopped.length > 0)
    expect(driver.stopped).toEqual([{ partition: 0, code: 'client_at_fault' }])
    expect(driver.stopMessages).toEqual(['partition 0, client c07: three purchases are too many'])
  })

  test('the transaction at which it failed, though a sweep runs that fails at nothing', async () => {
    const publisher = await open({ classifiers: failing(0), settings: { sweepSlice: 2, maxStepRecords: 7 } })
    const worker = await driver.startWorker()
    await publisher.transactions(clients.flatMap((id) => bought(id, id === 'c07' ? 2 : 1)))
    await driver.settled(worker)
    const [end] = await driver.log.admin.endOffsets(driver.topics.transactions)
    await publisher.day(jan10 + 1)
    await publisher.transactions([...bought('c01', 1), ...bought('c02', 1), ...bought('c07', 1), ...bought('c08', 1)])
    await eventually(() => driver.stopped.length > 0)
    expect(driver.stopped).toEqual([{ partition: 0, code: 'record_at_fault' }])
    expect(driver.stopMessages).toEqual([
      `${driver.topics.transactions}[0] offset ${end! + 2}: three purchases are too many`,
    ])
  })

  test('the control record at which it failed, though transactions wait and others came with it', async () => {
    let bad = -1
    const publisher = await open({
      settings: { maxStepRecords: 7 },
      onControlIgnored: (offset) => {
        bad = offset
        throw new Error('a defect of the fold')
      },
    })
    const worker = await driver.startWorker()
    await publisher.transactions(traffic)
    await driver.settled(worker)
    await worker.close()
    await publisher.day(jan10 + 1)
    await publisher.day(jan10 + 2)
    await driver.log.writer().append(driver.topics.control, 0, [{ key: null, value: Buffer.from('no frame') }])
    await publisher.day(jan10 + 3)
    await publisher.transactions(clients.flatMap((id) => bought(id, 1)))
    await driver.startWorker()
    await eventually(() => driver.stopped.length > 0)
    expect(driver.stopped).toEqual([{ partition: 0, code: 'control_at_fault' }])
    expect(driver.stopMessages).toEqual([`${driver.topics.control}[0] offset ${bad}: a defect of the fold`])
  })
})
