import { randomInt, randomUUID } from 'node:crypto'
import type pg from 'pg'
import { LoyaltyError } from '../../core/error.ts'
import type { GroupMembership, GroupOptions } from '../log.ts'
import { type Connections, endClient, givingUp } from './connections.ts'
import { changeGroup, groupTables, type MemberRow, type SeenGroup } from './group.ts'
import { groupCall, type Notifications } from './notifications.ts'

const defaultSessionMs = 10_000

/**
 * One member of a group.
 *
 * ```
 * joining ─→ waiting (for everybody to acknowledge the generation) ─→ assigned ─ new generation ─→ waiting …
 *    ↑            └──────────── connection lost, or row gone ────────────┘                 leave ─→ left
 *    └────────────────────────────────────────┘
 * ```
 * The member holds an advisory lock on a connection of its own: when the process dies the lock falls and the others see
 * it at their next look. A process that only stands still loses its row when its session has ended. A generation is
 * handed out once every member has acknowledged it, which it does after `onRevoked`: so no partition has two owners
 * that both believe it.
 */
export class PostgresMembership implements GroupMembership {
  private readonly connections: Connections
  private readonly options: GroupOptions
  private readonly partitions: number
  private readonly sessionMs: number
  private readonly stopListening: () => void
  private member: { readonly id: string; readonly client: pg.Client } | undefined
  /** Generation of the last `onAssigned`, and whether it still holds. */
  private assigned: number | undefined
  /** When the session was last renewed, or rather asked to be. */
  private renewedAt = 0
  private running: Promise<void> | undefined
  private wake: (() => void) | undefined
  private called = false
  private left = false

  constructor(connections: Connections, notifications: Notifications, partitions: number, options: GroupOptions) {
    this.connections = connections
    this.options = options
    this.partitions = partitions
    this.sessionMs = options.sessionTimeoutMs ?? defaultSessionMs
    this.stopListening = notifications.onGroup(options.group, options.topic, () => this.call())
  }

  /** Joins for the first time; callbacks begin after it. */
  async start(): Promise<void> {
    try {
      await this.join()
    } catch (error) {
      this.stopListening()
      throw error
    }
    this.running = this.run()
  }

  async stillMember(): Promise<boolean> {
    if (this.member === undefined || this.assigned === undefined) return false
    const { members, groups } = groupTables(this.connections)
    const rows = await this.connections.query(
      `SELECT 1 FROM ${members} m JOIN ${groups} g USING (group_id, topic)
       WHERE m.member_id = $1 AND m.deadline > clock_timestamp() AND g.generation = $2`,
      [this.member.id, this.assigned],
    )
    return rows.length === 1
  }

  async leave(): Promise<void> {
    if (this.left) return this.running
    this.left = true
    this.stopListening()
    this.wake?.()
    await this.running
    const { member } = this
    this.member = undefined
    if (member === undefined) return
    await givingUp(member.client, this.sessionMs, () => this.change(member.client, member.id, 'leave')).catch(() => {})
    await endClient(member.client)
  }

  private async run(): Promise<void> {
    const everyMs = Math.min(1_000, Math.max(50, Math.floor(this.sessionMs / 5)))
    while (!this.left) {
      this.called = false
      try {
        if (this.member === undefined) await this.join()
        else await givingUp(this.member.client, this.sessionLeftMs(), () => this.look())
      } catch {
        // The log is away or this member was dropped. What it owned may be another's by now.
        this.revoke()
        await this.drop()
      }
      if (!this.left && !this.called) await this.pause(everyMs)
    }
  }

  /** Until the others may count this member as gone: it is told before. */
  private sessionLeftMs(): number {
    return Math.max(1, this.renewedAt + this.sessionMs - performance.now())
  }

  private async join(): Promise<void> {
    const client = await this.connections.dedicated({
      synchronous_commit: 'off',
      // A member that is stopped with the group's row in its hand must not cost the others their session.
      idle_in_transaction_session_timeout: String(Math.ceil(this.sessionMs / 4)),
    })
    const id = randomUUID()
    const lockKey = randomInt(2 ** 47)
    try {
      client.on('end', () => this.call())
      await givingUp(client, this.sessionMs, async () => {
        await client.query('SELECT pg_advisory_lock($1)', [lockKey])
        await this.change(client, id, 'join', lockKey)
      })
    } catch (error) {
      await endClient(client)
      throw error
    }
    this.member = { id, client }
    this.call()
  }

  /** Renews the session, drops members that are gone, and follows the group's generation. */
  private async look(): Promise<void> {
    const { id, client } = this.member!
    const seen = await this.change(client, id, 'renew')
    const self = seen.members.find((each) => each.memberId === id)
    if (self === undefined) throw new LoyaltyError('log_not_a_member', 'the group has dropped this member')
    if (self.acknowledged < seen.generation) await this.acknowledge(self, seen)
    else if (this.assigned !== seen.generation && isAgreed(seen) && !this.left) {
      this.assigned = seen.generation
      this.options.onAssigned({ generation: seen.generation, partitions: self.partitions })
    }
  }

  private async acknowledge(self: MemberRow, seen: SeenGroup): Promise<void> {
    this.revoke()
    await this.member!.client.query(
      `UPDATE ${groupTables(this.connections).members} SET acknowledged = $2 WHERE member_id = $1`,
      [self.memberId, seen.generation],
    )
    await this.member!.client.query('SELECT pg_notify($1, $2)', [
      this.connections.channel,
      groupCall(this.options.group, this.options.topic),
    ])
  }

  private async change(
    client: pg.Client,
    id: string,
    what: 'join' | 'renew' | 'leave',
    lockKey = 0,
  ): Promise<SeenGroup> {
    const { group, topic } = this.options
    const askedAt = performance.now()
    const seen = await changeGroup(client, this.connections, {
      group,
      topic,
      partitions: this.partitions,
      sessionMs: this.sessionMs,
      memberId: id,
      lockKey,
      what,
    })
    this.renewedAt = askedAt
    return seen
  }

  private revoke(): void {
    if (this.assigned === undefined) return
    this.assigned = undefined
    if (!this.left) this.options.onRevoked()
  }

  private async drop(): Promise<void> {
    const { member } = this
    this.member = undefined
    if (member !== undefined) await endClient(member.client)
  }

  private call(): void {
    this.called = true
    this.wake?.()
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

function isAgreed({ generation, members }: SeenGroup): boolean {
  return members.every(({ acknowledged }) => acknowledged >= generation)
}
