import { afterEach, describe, expect, test } from 'vitest'
import { LoyaltyError } from '#streams/core/error.ts'
import { type CrashPoint, crashPoints } from '#streams/core/hooks.ts'
import type { StateStore } from '#streams/state/state-store.ts'
import { eventually } from '../../support/eventually.ts'
import { TopologyDriver } from '../../support/loyalty/driver.ts'
import { checkInvariants, type Outcome } from '../../support/loyalty/invariants.ts'
import { sale } from '../../support/loyalty/publisher.ts'
import { ruleClassifier } from '../../support/loyalty/rule-classifier.ts'

const jan10 = 19_732
const dayMs = 86_400_000
let driver: TopologyDriver

afterEach(() => driver.close())

const settings = { maxStepRecords: 7, sweepSlice: 5 }

function traffic(round: number) {
  return Array.from({ length: 60 }, (_, i) => {
    const client = `c${(i * 7 + round) % 25}`
    const id = `r${round}-${i}`
    if (i % 9 === 4)
      return sale(client, {
        transaction_id: `${id}v`,
        kind: 'VOID',
        amount_minor: 0,
        original_transaction_id: `r${round}-${i - 4}`,
      })
    return sale(client, { transaction_id: id, occurred_at: (jan10 - (i % 40)) * dayMs, amount_minor: 100 * (i + 1) })
  })
}

/** Sales of clients that always come in the wrong partition, so that their order is the same in every run. */
function strays(round: number) {
  return Array.from({ length: 12 }, (_, i) => sale(`stray${i % 4}`, { transaction_id: `s${round}-${i}` }))
}

async function begin() {
  driver = await TopologyDriver.open({ settings })
  const { publisher } = driver
  await publisher.programme()
  await publisher.model('1')
  await publisher.cutPoints([30], [1, 3], [5_000])
  await publisher.day(jan10)
  await publisher.transactions(traffic(1))
  await publisher.misplaced(strays(1))
}

async function goOn() {
  const { publisher } = driver
  await publisher.transactions(traffic(2))
  await publisher.day(jan10 + 120)
  await publisher.transactions(traffic(3))
  await publisher.misplaced(strays(2))
}

async function undisturbed(): Promise<Outcome> {
  await begin()
  const worker = await driver.startWorker()
  await goOn()
  await driver.settled(worker)
  const outcome = await driver.check()
  await driver.close()
  return outcome
}

describe('a failure at any crash point leaves no trace in the outcome', () => {
  for (const point of crashPoints)
    for (const after of [1, 3])
      test(`${point}, the ${after}. time`, async () => {
        const expected = await undisturbed()
        await begin()
        const restoring = point.startsWith('inside-restore')
        if (restoring) {
          const first = await driver.startWorker()
          await driver.settled(first)
          await first.close()
          driver.loseStore(0)
          driver.loseStore(1)
        }
        let passes = 0
        let failed = false
        const crash = (passed: CrashPoint) => {
          if (passed !== point || failed || ++passes < (restoring || point === 'after-fencing' ? 1 : after)) return
          failed = true
          throw new Error(`failed at ${point}`)
        }
        const worker = await driver.startWorker({ crash })
        await driver.settled(worker)
        await goOn()
        await driver.settled(worker)
        expect(failed).toBe(true)
        expect(await driver.check()).toEqual(expected)
      })
})

test('a commit whose reply is lost is found in the log and not done twice', async () => {
  await begin()
  const worker = await driver.startWorker()
  let lost = 0
  driver.log.commitHooks.after = () => {
    if (lost++ % 3 === 0) throw new LoyaltyError('log_commit_unknown', 'the reply was lost')
  }
  await goOn()
  await driver.settled(worker)
  expect(lost).toBeGreaterThan(3)
  delete driver.log.commitHooks.after
  await driver.check()
})

test('a commit that never arrived is done again', async () => {
  await begin()
  const worker = await driver.startWorker()
  let lost = 0
  driver.log.commitHooks.before = () => {
    if (lost++ % 3 === 0) throw new LoyaltyError('log_commit_unknown', 'the request was lost')
  }
  await goOn()
  await driver.settled(worker)
  delete driver.log.commitHooks.before
  expect(lost).toBeGreaterThan(3)
  await driver.check()
})

test('two workers share the partitions, one leaves, one dies, and nothing is lost or doubled', async () => {
  await begin()
  const first = await driver.startWorker({ stores: new Map() })
  const second = await driver.startWorker({ log: driver.log.connect(), stores: new Map() })
  await driver.publisher.transactions(traffic(2))
  await driver.settled(first, second)
  expect(first.tasks).toHaveLength(1)
  expect(second.tasks).toHaveLength(1)
  await first.close()
  await driver.publisher.day(jan10 + 120)
  await driver.publisher.transactions(traffic(3))
  await driver.settled(second)
  await driver.check()
})

test('an owner that does not know it was replaced is fenced and shows nothing', async () => {
  await begin()
  const zombie = await driver.startWorker({ stores: new Map() })
  await driver.settled(zombie)
  driver.log.group('processor', driver.topics.transactions).evict(0, { silently: true })
  const successor = await driver.startWorker({ log: driver.log.connect(), stores: new Map() })
  await eventually(() => successor.tasks.length === 2 && successor.tasks.every(({ state }) => state === 'running'))
  await goOn()
  await driver.settled(successor)
  await eventually(() => zombie.tasks.every(({ state }) => state === 'unassigned') || zombie.tasks.length === 0)
  await driver.check()
})

test('a group that is rebalanced again and again loses nothing', async () => {
  await begin()
  const worker = await driver.startWorker()
  await driver.settled(worker)
  for (let round = 2; round < 8; round++) {
    driver.log.group('processor', driver.topics.transactions).rebalance()
    await driver.publisher.transactions(traffic(round))
  }
  await driver.settled(worker)
  await driver.check()
})

test('lost state is folded again from the log, without new output', async () => {
  await begin()
  const worker = await driver.startWorker()
  await goOn()
  await driver.settled(worker)
  await worker.close()
  const before = driver.log.records(driver.topics.clientState).length
  driver.loseStore(0)
  driver.loseStore(1)
  const restarted = await driver.startWorker()
  await driver.settled(restarted)
  expect(driver.log.records(driver.topics.clientState)).toHaveLength(before)
  await driver.publisher.transactions(traffic(9))
  await driver.settled(restarted)
  await driver.check()
})

test('marks behind the last record do not put restored state ahead of the log', async () => {
  await begin()
  const worker = await driver.startWorker()
  await driver.settled(worker)
  await worker.close()
  for (const partition of [0, 1]) driver.log.broker.partition(driver.topics.transactions, partition).nextOffset += 3
  const stores = new Map<number, StateStore>()
  for (let round = 0; round < 2; round++) {
    const restarted = await driver.startWorker({ stores })
    await eventually(() => restarted.tasks.length === 2 && restarted.tasks.every(({ state }) => state === 'running'))
    await restarted.close()
  }
  expect(driver.warnings.filter(({ code }) => code === 'state_rebuilt')).toEqual([])
})

test('a rebuild reads compacted rows', async () => {
  await begin()
  const worker = await driver.startWorker()
  await goOn()
  await driver.settled(worker)
  await driver.check()
  await worker.close()
  driver.log.compact(driver.topics.clientState)
  driver.loseStore(0)
  driver.loseStore(1)
  const restarted = await driver.startWorker()
  await driver.settled(restarted)
  const compacted = driver.log.records(driver.topics.clientState).length
  await driver.publisher.day(jan10 + 120)
  await driver.settled(restarted)
  expect(driver.log.records(driver.topics.clientState)).toHaveLength(compacted)
})

test('state of another programme on the same directory is thrown away', async () => {
  await begin()
  const worker = await driver.startWorker()
  await driver.settled(worker)
  await worker.close()
  const stale = driver
  await begin()
  await stale.publisher.programme()
  const { stores } = { stores: new Map() }
  const first = await driver.startWorker({ stores })
  await driver.settled(first)
  await first.close()
  // The log loses what the state came from: another record lies at its last offset now.
  for (const partition of [0, 1]) {
    const records = driver.log.broker.partition(driver.topics.transactions, partition).records
    const last = records.at(-1)!
    records.splice(-1, 1, { ...last, timestampMs: last.timestampMs + 1 })
  }
  const restarted = await driver.startWorker({ stores })
  await driver.settled(restarted)
  expect(driver.warnings.filter(({ code }) => code === 'state_rebuilt')).toHaveLength(2)
  await driver.check()
})

test('a record at fault is found by halving and stops its task with the offset', async () => {
  driver = await TopologyDriver.open({
    partitions: 1,
    settings,
    classifiers: {
      load: async ({ version }) => {
        const rule = ruleClassifier(version)
        return {
          ...rule,
          classify: (rows, count) => {
            for (let i = 0; i < count; i++) if (rows[i * 2 + 1] === 3) throw new Error('three purchases are too many')
            return rule.classify(rows, count)
          },
        }
      },
    },
  })
  const { publisher } = driver
  await publisher.programme()
  await publisher.model('1')
  await publisher.day(jan10)
  const worker = await driver.startWorker()
  await publisher.transactions([sale('a'), sale('b'), sale('a'), sale('c'), sale('a'), sale('d')])
  await eventually(() => driver.stopped.length > 0)
  expect(driver.stopped).toEqual([{ partition: 0, code: 'record_at_fault' }])
  expect(worker.tasks[0]!.state).toBe('stopped')
})

test('a truncated input stops the task instead of skipping what is gone', async () => {
  await begin()
  const worker = await driver.startWorker()
  await driver.settled(worker)
  await worker.close()
  await driver.publisher.transactions(traffic(2))
  driver.log.deleteBefore(
    driver.topics.transactions,
    0,
    (await driver.log.admin.endOffsets(driver.topics.transactions))[0]!,
  )
  await driver.startWorker()
  await eventually(() => driver.stopped.length > 0)
  expect(driver.stopped).toEqual([{ partition: 0, code: 'log_offset_out_of_range' }])
})

test('a worker that is asked to close in the middle of a restore closes, and the next one goes on from there', async () => {
  await begin()
  const worker = await driver.startWorker()
  await goOn()
  await driver.settled(worker)
  await worker.close()
  driver.loseStore(0)
  driver.loseStore(1)
  let closed: Promise<void> | null = null
  let restoring = 0
  const interrupted = await driver.startWorker({
    crash: (point) => {
      if (point !== 'inside-restore-ledgers') return
      restoring += 1
      closed ??= interrupted.close()
    },
  })
  await eventually(() => closed !== null)
  await closed
  expect(restoring).toBeGreaterThan(0)
  expect(interrupted.tasks).toEqual([])
  const next = await driver.startWorker()
  await driver.publisher.transactions(traffic(9))
  await driver.settled(next)
  await driver.check()
})

describe('a state that a step cannot read', () => {
  /** More entries than the head of a ledger holds. */
  const many = (round: string) =>
    Array.from({ length: 100 }, (_, i) => sale('c1', { transaction_id: `${round}-${i}`, occurred_at: jan10 * dayMs }))

  /** Loses the full chunks of every ledger, cuts them off, or makes its clients nonsense. */
  async function damage(stores: Map<number, StateStore>, what: 'chunks' | 'cut chunks' | 'clients') {
    for (const store of stores.values()) {
      await store.open()
      const prefix = Buffer.of(what === 'clients' ? 1 : 2)
      const found = store.scan(prefix, null, 1_000).map(({ key }) => key)
      const value = what === 'chunks' ? null : Buffer.of(99)
      await store.commit(
        found.map((key) => ({ key, value })),
        store.meta()!,
      )
      await store.close()
    }
  }

  test.each(['chunks', 'cut chunks', 'clients'] as const)('is rebuilt from the log: damaged %s', async (what) => {
    driver = await TopologyDriver.open({ settings })
    const { publisher } = driver
    await publisher.programme()
    await publisher.transactions(many('a'))
    const stores = new Map<number, StateStore>()
    const first = await driver.startWorker({ stores })
    await driver.settled(first)
    await first.close()
    await damage(stores, what)

    const second = await driver.startWorker({ stores })
    await publisher.transactions(many('a'))
    await publisher.transactions(many('b'))
    await driver.settled(second)
    expect(driver.stopped).toEqual([])
    expect(driver.warnings).toContainEqual(expect.objectContaining({ code: 'state_unreadable' }))
    const { rows } = await checkInvariants(driver, stores)
    expect(Object.values(rows).map(({ frequency }) => frequency)).toEqual([200])
  })
})
