/** A member of a group with the partitions it had. */
export interface Holder {
  readonly memberId: string
  readonly partitions: readonly number[]
}

/**
 * Shares `partitions` partitions among the members: sizes differ by one at most, everybody keeps what it can, and the
 * same input gives the same answer. Members come in the order in which they joined; earlier ones get the larger shares.
 */
export function assignPartitions(partitions: number, members: readonly Holder[]): Map<string, number[]> {
  const shares = new Map<string, number[]>(members.map(({ memberId }) => [memberId, []]))
  if (members.length === 0) return shares
  const taken = new Set<number>()
  const smaller = Math.floor(partitions / members.length)
  let larger = partitions % members.length
  // Who holds most is first to keep a share of the larger size, so that the fewest partitions move.
  const byHolding = [...members].sort((a, b) => b.partitions.length - a.partitions.length)
  const sizes = new Map<string, number>()
  for (const { memberId } of byHolding) sizes.set(memberId, larger-- > 0 ? smaller + 1 : smaller)
  for (const { memberId, partitions: held } of members)
    for (const partition of held) {
      const share = shares.get(memberId)!
      if (partition >= partitions || taken.has(partition) || share.length >= sizes.get(memberId)!) continue
      taken.add(partition)
      share.push(partition)
    }
  const free = Array.from({ length: partitions }, (_, partition) => partition).filter((each) => !taken.has(each))
  for (const [memberId, share] of shares) {
    while (share.length < sizes.get(memberId)!) share.push(free.shift()!)
    share.sort((a, b) => a - b)
  }
  return shares
}
