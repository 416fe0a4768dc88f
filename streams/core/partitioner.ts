/**
 * Partition of a record key, as the Java client's default partitioner computes it: murmur2 over the key bytes with the
 * sign bit cleared, modulo the number of partitions.
 *
 * Source: org.apache.kafka.common.utils.Utils.murmur2, seed 0x9747b28c.
 */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return partitionOfHash(murmur2(key), partitions)
}

/** `partitionOf` for a key whose `murmur2` is known. */
export function partitionOfHash(hash: number, partitions: number): number {
  return (hash & 0x7fffffff) % partitions
}

/** 32-bit murmur2 of `data` with Kafka's seed, as a signed integer. */
export function murmur2(data: Uint8Array): number {
  const length = data.length
  const m = 0x5bd1e995
  let h = 0x9747b28c ^ length
  const blocks = length & ~3
  for (let i = 0; i < blocks; i += 4) {
    let k = data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    k = Math.imul(k, m)
    h = Math.imul(h, m)
    h ^= k
  }
  const tail = length & 3
  if (tail === 3) h ^= data[blocks + 2]! << 16
  if (tail >= 2) h ^= data[blocks + 1]! << 8
  if (tail >= 1) h = Math.imul(h ^ data[blocks]!, m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  h ^= h >>> 15
  return h | 0
}
