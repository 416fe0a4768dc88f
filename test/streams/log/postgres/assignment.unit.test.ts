import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assignPartitions, type Holder } from '#streams/log/postgres/assignment.ts'

const members = fc.uniqueArray(
  fc.record({ memberId: fc.uuid(), partitions: fc.uniqueArray(fc.nat(20), { maxLength: 12 }) }),
  { selector: ({ memberId }) => memberId, minLength: 1, maxLength: 7 },
)

/** Members between which no partition is held twice, as a group leaves them. */
function disjoint(holders: Holder[]): Holder[] {
  const taken = new Set<number>()
  return holders.map(({ memberId, partitions }) => ({
    memberId,
    partitions: partitions.filter((each) => !taken.has(each) && taken.add(each)),
  }))
}

describe('assignment of partitions', () => {
  test('gives every partition to exactly one member, in shares that differ by one at most', () => {
    fc.assert(
      fc.property(fc.nat(16), members, (partitions, holders) => {
        const shares = [...assignPartitions(partitions, holders).values()]
        expect(shares.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: partitions }, (_, each) => each))
        const sizes = shares.map((share) => share.length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('takes from a member only what is above its new share', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16 }), members, (partitions, all) => {
        const holders = disjoint(all)
        const shares = assignPartitions(partitions, holders)
        for (const { memberId, partitions: held } of holders) {
          const share = shares.get(memberId)!
          const kept = held.filter((each) => share.includes(each))
          expect(kept.length).toBe(Math.min(share.length, held.filter((each) => each < partitions).length))
        }
      }),
    )
  })

  test('changes nothing when nothing changed', () => {
    fc.assert(
      fc.property(fc.nat(16), members, (partitions, holders) => {
        const first = assignPartitions(partitions, holders)
        const again = holders.map(({ memberId }) => ({ memberId, partitions: first.get(memberId)! }))
        expect(assignPartitions(partitions, again)).toEqual(first)
      }),
    )
  })

  test('of no members is empty', () => {
    expect(assignPartitions(8, [])).toEqual(new Map())
  })
})
