import type { Broker } from 'kafkajs/src/cluster/index.js'
import protocol from 'kafkajs/src/consumer/assignerProtocol.js'
import type { GroupMembership, GroupOptions } from '../log.ts'
import { delay, type KafkaClient } from './client.ts'
import { isConnectionFailure, isCoordinatorMoved, kafkaErrorOf, unavailable } from './errors.ts'
import { assignPartitions, type MemberClaim } from './group-assignment.ts'

const protocolName = 'LoyaltySticky'
const rebalanceTimeoutMs = 60_000

/** What a member may show to the coordinator to be believed. */
export interface MemberIdentity {
  readonly memberId: string
  readonly generation: number
}

/**
 * A member of a consumer group that only shares out partitions: it reads nothing and commits nothing. It speaks the group
 * protocol itself (join, sync, heartbeat), because kafkajs's consumer tells neither its generation nor, in time, that its
 * assignment ends, and fetches by itself. It joins again for ever, whatever happens, until it leaves.
 */
export class KafkaMembership implements GroupMembership {
  readonly #client: KafkaClient
  readonly #options: GroupOptions
  readonly #sessionTimeoutMs: number
  #memberId = ''
  #generation = -1
  /** Last assignment, kept as a claim for the next. */
  #owned: readonly number[] = []
  #assigned = false
  #leaving = false
  #wakeUp: (() => void) | null = null
  readonly #onTrouble: (error: unknown) => void
  readonly #loop: Promise<void>

  constructor(client: KafkaClient, options: GroupOptions, onTrouble: (error: unknown) => void) {
    this.#onTrouble = onTrouble
    this.#client = client
    this.#options = options
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? 10_000
    this.#loop = this.#run()
  }

  /** Identity under which this member holds its assignment, or null while it has none. */
  get identity(): MemberIdentity | null {
    return this.#assigned ? { memberId: this.#memberId, generation: this.#generation } : null
  }

  get group(): string {
    return this.#options.group
  }

  /** Settles when this member has left. */
  get left(): Promise<void> {
    return this.#loop
  }

  async stillMember(): Promise<boolean> {
    const generation = this.#generation
    if (!this.#assigned) return false
    try {
      await this.#askCoordinator((coordinator) => this.#heartbeat(coordinator))
    } catch (error) {
      if (kafkaErrorOf(error) !== undefined) return false
      throw unavailable(`be asked about group ${this.#options.group}`, error)
    }
    return this.#assigned && generation === this.#generation
  }

  async leave(): Promise<void> {
    if (this.#leaving) return this.#loop
    this.#leaving = true
    this.#wakeUp?.()
    const { group } = this.#options
    const memberId = this.#memberId
    // A join may wait for other members on that connection; it is broken off first.
    await this.#client.dropConnections()
    if (memberId !== '')
      await this.#askCoordinator((coordinator) => coordinator.leaveGroup({ groupId: group, memberId })).catch(() => {})
    await this.#client.close()
    await this.#loop
  }

  async #run(): Promise<void> {
    let waitMs = 20
    while (!this.#leaving) {
      try {
        await this.#joinOnce()
        waitMs = 20
        await this.#beat()
      } catch (error) {
        if (this.#leaving) break
        this.#forget(error)
        this.#revoke()
        if (kafkaErrorOf(error) === 'REBALANCE_IN_PROGRESS') continue
        this.#onTrouble(error)
        await delay(waitMs)
        waitMs = Math.min(waitMs * 2, 500)
      }
    }
    this.#revoke()
  }

  /** What an error says about this member's standing. */
  #forget(error: unknown): void {
    const type = kafkaErrorOf(error)
    if (isConnectionFailure(error) || isCoordinatorMoved(error))
      this.#client.forgetCoordinator('group', this.#options.group)
    if (type === 'UNKNOWN_MEMBER_ID' || type === 'FENCED_INSTANCE_ID') this.#memberId = ''
  }

  #revoke(): void {
    if (!this.#assigned) return
    this.#assigned = false
    this.#options.onRevoked()
  }

  async #joinOnce(): Promise<void> {
    const { group, topic } = this.#options
    const coordinator = await this.#client.coordinator('group', group)
    const claim = Buffer.from(JSON.stringify({ generation: this.#generation, partitions: this.#owned }))
    const metadata = protocol.MemberMetadata.encode({ version: 1, topics: [topic], userData: claim })
    const joined = await coordinator.joinGroup({
      groupId: group,
      sessionTimeout: this.#sessionTimeoutMs,
      rebalanceTimeout: rebalanceTimeoutMs,
      memberId: this.#memberId,
      groupProtocols: [{ name: protocolName, metadata }],
    })
    this.#memberId = joined.memberId
    const groupAssignment = joined.leaderId === joined.memberId ? await this.#deal(joined.members) : []
    const { generationId: generation, memberId } = joined
    const synced = await coordinator.syncGroup({ groupId: group, generationId: generation, memberId, groupAssignment })
    if (this.#leaving) return
    const assignment = protocol.MemberAssignment.decode(synced.memberAssignment)?.assignment ?? {}
    this.#generation = generation
    this.#owned = [...(assignment[topic] ?? [])].sort((a, b) => a - b)
    this.#assigned = true
    this.#options.onAssigned({ generation, partitions: this.#owned })
  }

  async #deal(members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]) {
    const { topic } = this.#options
    const count = (await this.#client.leaders(topic)).length
    const assigned = assignPartitions(count, members.map(claimOf))
    return [...assigned].map(([memberId, partitions]) => ({
      memberId,
      memberAssignment: protocol.MemberAssignment.encode({ version: 1, assignment: { [topic]: partitions } }),
    }))
  }

  /** Tells the group that this member lives; ends by an error when it does not count any more. */
  async #beat(): Promise<void> {
    const everyMs = Math.min(500, this.#sessionTimeoutMs / 5)
    let heardAt = performance.now()
    while (!this.#leaving) {
      await this.#pause(everyMs)
      if (this.#leaving) return
      try {
        const coordinator = await this.#client.coordinator('group', this.#options.group)
        await this.#heartbeat(coordinator)
        heardAt = performance.now()
      } catch (error) {
        // A coordinator that cannot be reached may still count this member, until the session is over.
        const passing = isConnectionFailure(error) || isCoordinatorMoved(error)
        if (!passing || performance.now() - heardAt > this.#sessionTimeoutMs) throw error
        this.#client.forgetCoordinator('group', this.#options.group)
      }
    }
  }

  #heartbeat(coordinator: Broker): Promise<unknown> {
    const { group } = this.#options
    return coordinator.heartbeat({ groupId: group, groupGenerationId: this.#generation, memberId: this.#memberId })
  }

  #askCoordinator(ask: (coordinator: Broker) => Promise<unknown>): Promise<unknown> {
    const options = { what: `reach group ${this.#options.group}`, repeatable: true, withinMs: this.#sessionTimeoutMs }
    return this.#client.askCoordinator('group', this.#options.group, ask, options)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wakeUp = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** Members of another program in this group have no claim that could be read. */
function claimOf(member: { readonly memberId: string; readonly memberMetadata: Buffer }): MemberClaim {
  const id = member.memberId
  try {
    const { userData } = protocol.MemberMetadata.decode(member.memberMetadata)
    const claim: unknown = JSON.parse((userData ?? Buffer.alloc(0)).toString())
    if (isClaim(claim)) return { id, generation: claim.generation, partitions: claim.partitions }
  } catch {
    // Not ours.
  }
  return { id, generation: -1, partitions: [] }
}

function isClaim(value: unknown): value is { generation: number; partitions: number[] } {
  if (typeof value !== 'object' || value === null || !('generation' in value) || !('partitions' in value)) return false
  const { generation, partitions } = value
  return typeof generation === 'number' && Array.isArray(partitions) && partitions.every(Number.isInteger)
}
