import { describe, expect, test } from 'vitest'
import { growthOf } from '#streams/state/disk-room.ts'

const page = 4_096
const change = (bytes: number | null) => ({ key: Buffer.alloc(10), value: bytes === null ? null : Buffer.alloc(bytes) })
const changes = (count: number, bytes: number | null) => Array.from({ length: count }, () => change(bytes))

describe('what a commit may need of the disk', () => {
  test('is nothing without changes', () => {
    expect(growthOf([], 100 * page, page)).toBe(0)
  })

  test('is twice its bytes where all pages are new', () => {
    expect(growthOf(changes(1_000, 100), 0, page)).toBe(1_000 * 2 * (10 + 10 + 100))
  })

  test('is whole pages for a large value', () => {
    expect(growthOf(changes(1, 10_000), 0, page)).toBeGreaterThanOrEqual(3 * page)
    expect(growthOf(changes(1, 10_000), 0, page)).toBeLessThan(5 * page)
  })

  test('is a page for each change, deletions too, but no more than there are', () => {
    expect(growthOf(changes(5, null), 100 * page, page)).toBe(5 * page)
    expect(growthOf(changes(500, null), 100 * page, page)).toBe(100 * page)
  })
})
