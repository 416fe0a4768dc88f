/** A member of a group as its leader sees it: what it owned when it last had an assignment, and in which generation. */
export interface MemberClaim {
  readonly id: string
  readonly generation: number
  readonly partitions: readonly number[]
}

/**
 * Deals partitions 0 … count-1 to the members evenly (numbers differ by at most one), so that as few as possible change
 * hands: first everyone keeps what it has, up to its share; the newest generation's claim wins. Depends on nothing but
 * its arguments.
 */
export function assignPartitions(count: number, members: readonly MemberClaim[]): Map<string, number[]> {
  const ordered = [...members].sort((a, b) => b.generation - a.generation || (a.id < b.id ? -1 : 1))
  const assigned = new Map(ordered.map(({ id }) => [id, [] as number[]]))
  if (ordered.length === 0) return assigned
  const least = Math.floor(count / ordered.length)
  let largerShares = count % ordered.length
  const taken = new Set<number>()
  for (const { id, partitions } of ordered) {
    const kept = assigned.get(id)!
    for (const partition of partitions) {
      if (taken.has(partition) || partition >= count) continue
      if (kept.length === least && largerShares === 0) break
      if (kept.length > least) break
      if (kept.length === least) largerShares--
      kept.push(partition)
      taken.add(partition)
    }
  }
  for (let partition = 0; partition < count; partition++) {
    if (taken.has(partition)) continue
    const neediest = ordered.reduce(
      (best, { id }) => (assigned.get(id)!.length < assigned.get(best)!.length ? id : best),
      ordered[0]!.id,
    )
    assigned.get(neediest)!.push(partition)
  }
  for (const partitions of assigned.values()) partitions.sort((a, b) => a - b)
  return assigned
}
