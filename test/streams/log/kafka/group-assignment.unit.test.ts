import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assignPartitions, type MemberClaim } from '#streams/log/kafka/group-assignment.ts'

const fresh = (id: string): MemberClaim => ({ id, generation: -1, partitions: [] })

test('every partition has one owner, and shares differ by at most one, whatever members claim', () => {
  const members = fc.uniqueArray(
    fc.record({
      id: fc.string({ minLength: 1, maxLength: 4 }),
      generation: fc.integer({ min: -1, max: 5 }),
      partitions: fc.array(fc.nat(12), { maxLength: 12 }),
    }),
    { selector: ({ id }) => id, minLength: 1, maxLength: 6 },
  )
  fc.assert(
    fc.property(fc.nat(12), members, (count, claims) => {
      const assigned = assignPartitions(count, claims)
      expect([...assigned.values()].flat().sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, p) => p))
      const sizes = [...assigned.values()].map(({ length }) => length)
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      expect(assignPartitions(count, claims.toReversed())).toEqual(assigned)
    }),
  )
})

test('members that come and go move as few partitions as an even share allows', () => {
  const scenario = fc.array(fc.nat(5), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 16 }), scenario, (count, toggles) => {
      let members: MemberClaim[] = [fresh('m9')]
      let owned = assignPartitions(count, members)
      for (const [generation, which] of toggles.entries()) {
        const id = `m${which}`
        const before = owned
        const present = [...owned.keys()]
        const now = present.includes(id) ? present.filter((other) => other !== id) : [...present, id]
        if (now.length === 0) continue
        members = now.map((each) => ({
          id: each,
          generation: before.has(each) ? generation : -1,
          partitions: before.get(each) ?? [],
        }))
        owned = assignPartitions(count, members)
        const share = Math.ceil(count / now.length)
        for (const [member, partitions] of owned) {
          const held = before.get(member) ?? []
          const lost = held.filter((partition) => !partitions.includes(partition))
          // Whoever stays gives up only what is above its new share, which is the larger or the smaller of two.
          expect(lost.length).toBeLessThanOrEqual(
            Math.max(0, held.length - (share - (count % now.length === 0 ? 0 : 1))),
          )
        }
      }
    }),
  )
})

test('of two claims to one partition that of the newer generation holds', () => {
  const assigned = assignPartitions(2, [
    { id: 'old', generation: 3, partitions: [0, 1] },
    { id: 'new', generation: 4, partitions: [0] },
  ])
  expect(Object.fromEntries(assigned)).toEqual({ new: [0], old: [1] })
})
