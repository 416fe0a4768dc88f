import { describe, expect, it } from 'vitest'
import { dayOfIso } from '#streams/domain/calendar.ts'
import { newEffects } from '#streams/domain/effects.ts'
import { Ledger } from '#streams/domain/ledger.ts'
import { Flag } from '#streams/domain/values.ts'
import { apply, ledgerOf, MemoryChunks, refund, sale, valuesOf, voidOf } from './scenario.ts'

const date = dayOfIso('2024-03-01')

describe('values of a ledger', () => {
  it('count a sale that was given back without a reference: gross stays, net is nothing (client 12346 of the sample)', () => {
    const ledger = ledgerOf([sale('541431', 7_718_360, '2024-01-18'), refund('C541433', null, 7_718_360, '2024-01-18')])
    expect(valuesOf(ledger, date)).toMatchObject({
      frequency: 1,
      monetaryGrossMinor: 7_718_360,
      monetaryNetMinor: 0,
      refundedMinor: 7_718_360,
      refundShare: 1,
      recencyDays: 43,
    })
  })

  it('fall back to the purchase before when the last one is voided or fully refunded through a reference', () => {
    const two = [sale('a', 100, '2024-01-10', { storeId: 'x' }), sale('b', 70, '2024-02-20', { storeId: 'y' })]
    const whole = { frequency: 2, recencyDays: 10, monetaryGrossMinor: 170, monetaryNetMinor: 170, stores: 2 }
    expect(valuesOf(ledgerOf(two), date)).toMatchObject(whole)
    const voided = ledgerOf([...two, voidOf('v', 'b', '2024-02-21')])
    expect(valuesOf(voided, date)).toMatchObject({ frequency: 1, recencyDays: 51, monetaryGrossMinor: 100, stores: 1 })
    const refunded = ledgerOf([...two, refund('r', 'b', 30, '2024-02-21'), refund('s', 'b', 40, '2024-02-22')])
    expect(valuesOf(refunded, date)).toMatchObject({
      frequency: 1,
      recencyDays: 51,
      monetaryGrossMinor: 170,
      monetaryNetMinor: 100,
      stores: 1,
      flags: 0,
    })
    const undone = [...two, refund('r', 'b', 70, '2024-02-21'), voidOf('v', 'r', '2024-02-22')]
    expect(valuesOf(ledgerOf(undone), date)).toMatchObject(whole)
  })

  it('cap refunds at their sale and flag the excess', () => {
    const ledger = ledgerOf([
      sale('a', 100, '2024-01-10'),
      refund('r', 'a', 80, '2024-01-12'),
      refund('s', 'a', 80, '2024-01-11'),
    ])
    expect(valuesOf(ledger, date)).toMatchObject({
      monetaryNetMinor: 0,
      refundedMinor: 100,
      flags: Flag.refundsAboveSale,
    })
  })

  it('wait for originals without effect, and flag originals of the wrong kind', () => {
    const ledger = ledgerOf([
      sale('a', 100, '2024-01-10'),
      refund('r', 'missing', 10, '2024-01-11'),
      voidOf('v', 'missing too', '2024-01-11'),
      refund('rr', 'r', 5, '2024-01-12'),
      voidOf('vv', 'v', '2024-01-12'),
    ])
    expect(valuesOf(ledger, date)).toMatchObject({
      monetaryNetMinor: 100,
      waiting: 2,
      transactions: 5,
      flags: Flag.originalOfWrongKind,
    })
  })

  it('are empty where they need a date that has not come', () => {
    const ledger = ledgerOf([sale('a', 100, '2024-01-10')])
    expect(valuesOf(ledger, null)).toMatchObject({ frequency: 1, recencyDays: -1, purchases365d: 0, rScore: -1 })
    expect(valuesOf(ledger, dayOfIso('2024-01-09'))).toMatchObject({
      frequency: 0,
      transactions: 0,
      lastPurchaseDay: -1,
    })
    expect(valuesOf(ledger, dayOfIso('2024-01-10'))).toMatchObject({
      frequency: 1,
      recencyDays: 0,
      rScore: 3,
      fScore: 1,
      mScore: 2,
    })
  })

  it('have windows of the date and the days before it', () => {
    const ledger = ledgerOf([
      sale('in 30', 1, '2024-02-01'),
      sale('in 90', 2, '2024-01-31'),
      sale('in 365', 4, '2023-03-03'),
      sale('outside', 8, '2023-03-02'),
    ])
    expect(valuesOf(ledger, date)).toMatchObject({
      purchases30d: 1,
      purchases90d: 2,
      purchases365d: 3,
      spend30dMinor: 1,
      spend90dMinor: 3,
      spend365dMinor: 7,
    })
  })
})

describe('applying', () => {
  it('takes the first of two contents for one id', () => {
    const ledger = ledgerOf([sale('a', 100, '2024-01-10')])
    expect(apply(ledger, sale('a', 100, '2024-01-10'))).toBe('duplicate')
    expect(apply(ledger, sale('a', 101, '2024-01-10'))).toBe('conflicting_duplicate')
    expect(valuesOf(ledger, date)).toMatchObject({ monetaryGrossMinor: 100, transactions: 1 })
  })

  it('tells a sale of the refund that waited for it', () => {
    const ledger = ledgerOf([refund('r', 'a', 30, '2024-01-11')])
    const effects = newEffects()
    expect(apply(ledger, sale('a', 100, '2024-01-10'), effects)).toBe('accepted')
    expect(effects).toMatchObject({ count: 1, grossMinor: 100, netMinor: 100 })
    expect(effects.others).toMatchObject([
      { count: 0, grossMinor: 0, netMinor: -30, occurredAtMs: Date.UTC(2024, 0, 11, 12) },
    ])
    expect(apply(ledger, voidOf('v', 'a', '2024-01-12'), effects)).toBe('accepted')
    expect(effects).toMatchObject({ count: 0, grossMinor: 0, netMinor: 0 })
    expect(effects.others).toMatchObject([
      { count: -1, grossMinor: -100, netMinor: -100 },
      { count: 0, grossMinor: 0, netMinor: 30 },
    ])
  })

  it('to a ledger leaves its fork alone, also where the tail begins anew', () => {
    const sales = Array.from({ length: 66 }, (_, i) => sale(`s${i}`, 100 + i, '2024-01-10'))
    const ledger = ledgerOf(sales.slice(0, 63))
    const fork = ledger.fork()
    const before = valuesOf(fork, date)
    for (const transaction of sales.slice(63)) apply(ledger, transaction)
    expect(valuesOf(fork, date)).toEqual(before)
    expect(apply(fork, sales[62]!)).toBe('duplicate')
    expect(apply(fork, sales[63]!)).toBe('accepted')
  })
})

describe('forks', () => {
  it('of one ledger live side by side, past the end of a chunk', () => {
    const sales = (name: string, count: number) =>
      Array.from({ length: count }, (_, i) => sale(`${name}${i}`, 100, '2024-01-10', { storeId: name }))
    for (const common of [0, 1, 3, 60, 63, 64]) {
      const base = ledgerOf(sales('base', common))
      const forks = ['a', 'b', 'c'].map((name) => ({ name, ledger: base.fork() }))
      for (let i = 0; i < 70; i++)
        for (const { name, ledger } of forks) expect(apply(ledger, sales(name, 70)[i]!)).toBe('accepted')
      for (const transaction of sales('own', 5)) apply(base, transaction)
      for (const { name, ledger } of [{ name: 'own', ledger: base }, ...forks]) {
        const own = sales(name, name === 'own' ? 5 : 70)
        const store = new MemoryChunks()
        store.store(ledger)
        expect(valuesOf(store.load(), date)).toEqual(valuesOf(ledgerOf([...sales('base', common), ...own]), date))
        for (const transaction of own) expect(apply(ledger, transaction)).toBe('duplicate')
      }
    }
  })

  it('find an original that came where a dropped one had another', () => {
    const old = Array.from({ length: 63 }, (_, i) => sale(`s${i}`, 10, '2024-01-02'))
    const base = ledgerOf([...old, refund('r', 'original', 4, '2024-02-02')])
    const dropped = base.fork()
    apply(dropped, sale('original', 100, '2024-01-10'))
    expect(valuesOf(dropped, date)).toMatchObject({ waiting: 0, refundedMinor: 4, monetaryGrossMinor: 730 })
    const kept = base.fork()
    apply(kept, sale('another', 3, '2024-01-10'))
    expect(valuesOf(kept, date)).toMatchObject({ waiting: 1, refundedMinor: 0 })
    apply(kept, sale('original', 100, '2024-01-10'))
    expect(valuesOf(kept, date)).toMatchObject({ waiting: 0, refundedMinor: 4, frequency: 65, flags: 0 })
  })
})

describe('a stored ledger', () => {
  it('is its head alone while it is short, and loads chunks only when they are needed', () => {
    const store = new MemoryChunks()
    const ledger = store.empty()
    apply(ledger, sale('a', 100, '2024-01-10'))
    apply(ledger, sale('b', 100, '2024-01-11'))
    store.store(ledger)
    expect(store.head!.length).toBe(8 + 2 * 48)
    expect(store.storedChunks).toBe(0)
    for (let i = 0; i < 70; i++) apply(ledger, sale(`s${i}`, 1, '2024-01-12'))
    store.store(ledger)
    expect(store.storedChunks).toBe(1)
    const loaded = store.load()
    expect(store.loads).toBe(0)
    expect(apply(loaded, sale('a', 100, '2024-01-10'))).toBe('duplicate')
    expect(store.loads).toBe(1)
  })

  it('is refused where it is damaged or of another version', () => {
    const store = new MemoryChunks()
    const head = ledgerOf([sale('a', 100, '2024-01-10')]).encodeHead()
    const decode = (bytes: Uint8Array) => () => Ledger.decode(bytes, 'client', store.settings)
    expect(decode(head)).not.toThrow()
    expect(decode(head.subarray(0, 20))).toThrow(/cut off/)
    expect(decode(new Uint8Array(0))).toThrow(/version/)
    const other = head.slice()
    other[3] = 0xf0
    expect(decode(other)).toThrow(/version/)
  })
})

describe('beyond its cap a ledger', () => {
  const cap = 8
  const day = (i: number) => new Date(Date.UTC(2024, 0, 1 + i)).toISOString().slice(0, 10)
  const sales = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => sale(`s${from + i}`, 100, day(from + i), { storeId: `${from + i}` }))

  it('folds the oldest receipts away and keeps their sums and stores', () => {
    const ledger = ledgerOf(sales(0, 25), cap)
    expect(ledger.count).toBeLessThan(10)
    expect(valuesOf(ledger, null)).toMatchObject({
      frequency: 25,
      transactions: 25,
      stores: 25,
      monetaryGrossMinor: 2_500,
    })
    expect(valuesOf(ledger, null).firstPurchaseAtMs).toBe(Date.UTC(2024, 0, 1, 12))
  })

  it('knows folded ids, and refuses what would change a folded receipt', () => {
    const ledger = ledgerOf(sales(0, 25), cap)
    expect(apply(ledger, sales(0, 1)[0]!)).toBe('duplicate')
    expect(apply(ledger, sale('s0', 99, day(0)))).toBe('conflicting_duplicate')
    expect(apply(ledger, refund('r', 's0', 10, day(30)))).toBe('beyond_ledger')
    expect(apply(ledger, voidOf('v', 's1', day(30)))).toBe('beyond_ledger')
    expect(apply(ledger, refund('r', 's24', 10, day(30)))).toBe('accepted')
    expect(apply(ledger, refund('w', 'never seen', 10, day(30)))).toBe('accepted')
    expect(apply(ledger, sale('late', 1, day(0)))).toBe('accepted')
  })

  it('flags windows that reach beyond its horizon', () => {
    const ledger = ledgerOf(sales(0, 25), cap)
    expect(valuesOf(ledger, dayOfIso('2024-02-01')).flags).toBe(Flag.windowsCut)
    expect(valuesOf(ledger, dayOfIso('2026-02-01')).flags).toBe(0)
  })

  it('keeps a refund that waits, and applies it when its sale comes at last', () => {
    const ledger = ledgerOf([refund('r', 'late', 40, day(0)), ...sales(1, 40)], cap)
    expect(valuesOf(ledger, null)).toMatchObject({ waiting: 1, refundedMinor: 0 })
    expect(apply(ledger, sale('late', 100, day(0)))).toBe('accepted')
    expect(valuesOf(ledger, null)).toMatchObject({ waiting: 0, refundedMinor: 40, frequency: 40 })
  })

  it('stays bounded where only waiting refunds come', () => {
    const refunds = Array.from({ length: 100 }, (_, i) => refund(`r${i}`, `missing${i}`, 1, day(i)))
    const ledger = ledgerOf(refunds, cap)
    expect(ledger.count).toBeLessThan(2 * cap)
    expect(valuesOf(ledger, null)).toMatchObject({ waiting: 100, transactions: 100 })
  })

  it('keeps receipts whole', () => {
    const ledger = ledgerOf(
      [sale('a', 100, day(0)), ...sales(1, 8), refund('r', 'a', 60, day(20)), ...sales(8, 16)],
      cap,
    )
    expect(ledger.past).not.toBeNull()
    expect(apply(ledger, refund('s', 'a', 60, day(21)))).toBe('accepted')
    expect(valuesOf(ledger, null)).toMatchObject({ refundedMinor: 100, flags: Flag.refundsAboveSale })
  })

  it('rewrites only the last chunk of cold ids', () => {
    const store = new MemoryChunks(500)
    const ledger = store.empty()
    let changes = 0
    for (const transaction of sales(0, 7_000)) {
      apply(ledger, transaction)
      changes = Math.max(changes, ledger.changedColdChunks().length)
      store.store(ledger)
    }
    expect(changes).toBe(1)
    expect(store.storedColdChunks).toBe(2)
    expect(apply(store.load(), sales(17, 18)[0]!)).toBe('duplicate')
  })
})

describe('a ledger whose amounts are very large', () => {
  const most = 2 ** 52

  it('refuses what would make its sums inexact, takes in small amounts beside, and knows what it has', () => {
    const ledger = ledgerOf([sale('a', most - 1_000_000_000, '2024-01-10')])
    expect(apply(ledger, refund('r', null, 1_000_000_001, '2024-01-11'))).toBe('sums_too_large')
    expect(apply(ledger, refund('r', null, 1_000_000_000, '2024-01-11'))).toBe('accepted')
    expect(apply(ledger, sale('b', 2 ** 28, '2024-01-12'))).toBe('sums_too_large')
    expect(apply(ledger, sale('b', 2 ** 28 - 1, '2024-01-12'))).toBe('accepted')
    expect(apply(ledger, sale('a', most - 1_000_000_000, '2024-01-10'))).toBe('duplicate')
    expect(apply(ledger, voidOf('v', 'a', '2024-01-13'))).toBe('accepted')
    expect(valuesOf(ledger, null)).toMatchObject({ monetaryGrossMinor: 2 ** 28 - 1, refundedMinor: 1_000_000_000 })
  })

  it('counts what is voided: as of a day before its void it is not', () => {
    const ledger = ledgerOf([sale('a', most, '2024-01-10'), voidOf('v', 'a', '2024-02-20')])
    expect(apply(ledger, sale('b', most, '2024-01-10'))).toBe('sums_too_large')
    expect(valuesOf(ledger, dayOfIso('2024-02-01')).monetaryGrossMinor).toBe(most)
  })

  it('counts what was folded away and what lies in full chunks', () => {
    const many = Array.from({ length: 200 }, (_, i) => sale(`s${i}`, 2 ** 40, '2024-01-10'))
    for (const cap of [4_096, 20]) {
      const ledger = ledgerOf(many, cap)
      const room = most - 200 * 2 ** 40
      expect(apply(ledger, sale('b', room + 1, '2024-01-11'))).toBe('sums_too_large')
      expect(apply(ledger, sale('b', room, '2024-01-11'))).toBe('accepted')
    }
  })

  it('keeps sums of bonuses exact, too', () => {
    const bonus = { bonusEarnedMinor: 2 ** 47 - 1 }
    const ledger = ledgerOf(Array.from({ length: 32 }, (_, i) => sale(`s${i}`, 1, '2024-01-10', bonus)))
    expect(apply(ledger, sale('b', 1, '2024-01-11', { bonusEarnedMinor: 2 ** 28 }))).toBe('sums_too_large')
    expect(apply(ledger, sale('b', 1, '2024-01-11', { bonusEarnedMinor: 32 }))).toBe('accepted')
  })
})
