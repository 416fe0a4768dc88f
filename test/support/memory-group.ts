import type { GroupMembership, GroupOptions } from '#streams/log/log.ts'

interface Member {
  readonly options: GroupOptions
  partitions: number[]
}

/** One consumer group of a memory log: shares partitions evenly, keeping what a member has where it can. */
export class MemoryGroup {
  readonly #members: Member[] = []
  #generation = 0
  #partitions: number

  constructor(partitions: number) {
    this.#partitions = partitions
  }

  join(options: GroupOptions): GroupMembership {
    const member: Member = { options, partitions: [] }
    this.#rebalance(() => this.#members.push(member))
    return {
      stillMember: async () => this.#members.includes(member),
      leave: async () => this.#remove(member),
    }
  }

  /** Number of members. */
  get size(): number {
    return this.#members.length
  }

  /**
   * Takes a member (by order of joining) out, as the end of its session would. `silently`: the member is not told, like a
   * process that was stopped and goes on believing.
   */
  evict(index: number, options: { silently?: boolean } = {}): void {
    const member = this.#members[index]
    if (member === undefined) throw new Error(`no member ${index}`)
    this.#remove(member, options.silently !== true)
  }

  /** Revokes and assigns everything again, in a new generation, without any change of members. */
  rebalance(): void {
    this.#rebalance(() => {})
  }

  #remove(member: Member, tell = true): void {
    const index = this.#members.indexOf(member)
    if (index < 0) return
    if (tell) member.options.onRevoked()
    this.#members.splice(index, 1)
    this.#rebalance(() => {})
  }

  #rebalance(change: () => void): void {
    for (const member of this.#members) member.options.onRevoked()
    change()
    this.#generation += 1
    this.#share()
    const generation = this.#generation
    for (const member of [...this.#members])
      queueMicrotask(() => {
        if (this.#generation !== generation) return
        member.options.onAssigned({ generation, partitions: [...member.partitions] })
      })
  }

  #share(): void {
    if (this.#members.length === 0) return
    const fewest = Math.floor(this.#partitions / this.#members.length)
    let larger = this.#partitions % this.#members.length
    const owned = new Set<number>()
    const room = new Map<Member, number>()
    for (const member of this.#members) {
      const quota = fewest + (larger-- > 0 ? 1 : 0)
      member.partitions = member.partitions.slice(0, quota)
      for (const partition of member.partitions) owned.add(partition)
      room.set(member, quota - member.partitions.length)
    }
    for (let partition = 0; partition < this.#partitions; partition++) {
      if (owned.has(partition)) continue
      const member = this.#members.find((candidate) => room.get(candidate)! > 0)!
      room.set(member, room.get(member)! - 1)
      member.partitions = [...member.partitions, partition].sort((a, b) => a - b)
    }
  }
}
