import pg from 'pg'
import { type Connections, endClient } from './connections.ts'

/** Longest payload that PostgreSQL takes, with room to spare. */
const longestPayload = 7_500

/** Payloads that tell readers where partitions now end: `a <topic id>:<partition>:<end>,…`. */
export function announcement(topicIds: number[], partitions: number[], ends: number[]): string[] {
  const messages: string[] = []
  for (const [index, id] of topicIds.entries()) {
    const part = `${id}:${partitions[index]}:${ends[index]}`
    const last = messages.at(-1)
    if (last === undefined || last.length + part.length > longestPayload) messages.push(`a ${part}`)
    else messages[messages.length - 1] = `${last},${part}`
  }
  return messages
}

/** Payload that tells the members of a group to look. */
export function groupCall(group: string, topic: string): string {
  return `g ${JSON.stringify([group, topic])}`
}

type AppendListener = (topicId: number, partition: number, end: number) => void

/**
 * One LISTEN connection per Log object. Where it is lost, ends are asked for every `pollMs` until it is back; they are
 * asked for at that pace anyhow while somebody listens, so that no lost wake-up lasts longer.
 */
export class Notifications {
  private readonly connections: Connections
  private readonly pollMs: number
  private readonly appendListeners = new Set<AppendListener>()
  private readonly groupListeners = new Map<string, Set<() => void>>()
  private readonly ends = new Map<string, number>()
  private client: pg.Client | undefined
  private connecting = false
  private running: Promise<void> | undefined
  private wake: (() => void) | undefined
  private closed = false

  constructor(connections: Connections, pollMs: number) {
    this.connections = connections
    this.pollMs = pollMs
  }

  /** Calls back for every append that becomes visible; answers how to stop. */
  onAppend(listener: AppendListener): () => void {
    this.appendListeners.add(listener)
    this.start()
    return () => this.appendListeners.delete(listener)
  }

  /** Calls back when a group may have changed; answers how to stop. */
  onGroup(group: string, topic: string, listener: () => void): () => void {
    const call = groupCall(group, topic)
    const listeners = this.groupListeners.get(call) ?? new Set()
    this.groupListeners.set(call, listeners.add(listener))
    this.start()
    return () => listeners.delete(listener)
  }

  /** The newest end heard of, or -1. */
  endOf(topicId: number, partition: number): number {
    return this.ends.get(`${topicId}:${partition}`) ?? -1
  }

  async close(): Promise<void> {
    this.closed = true
    this.wake?.()
    await this.running
  }

  private start(): void {
    this.running ??= this.run()
  }

  private async run(): Promise<void> {
    while (!this.closed) {
      if (this.client === undefined && !this.connecting) void this.connect()
      if (this.appendListeners.size > 0) await this.askForEnds().catch(() => {})
      if (!this.closed) await this.pause()
    }
    if (this.client !== undefined) await endClient(this.client)
  }

  /** Not waited for: ends are asked for meanwhile. */
  private async connect(): Promise<void> {
    this.connecting = true
    try {
      const client = await this.listening()
      if (this.closed) await endClient(client)
      else this.client = client
    } catch {
      // Tried again with the next round.
    } finally {
      this.connecting = false
    }
  }

  private async listening(): Promise<pg.Client> {
    const client = await this.connections.dedicated()
    const lost = () => {
      if (this.client === client) this.client = undefined
    }
    client.on('error', lost)
    client.on('end', lost)
    client.on('notification', ({ payload }) => this.heard(payload ?? ''))
    try {
      await this.connections.givingUp(client, () =>
        client.query(`LISTEN ${pg.escapeIdentifier(this.connections.channel)}`),
      )
      return client
    } catch (error) {
      await endClient(client)
      throw error
    }
  }

  private heard(payload: string): void {
    if (payload.startsWith('g ')) for (const listener of this.groupListeners.get(payload) ?? []) listener()
    else if (payload.startsWith('a '))
      for (const part of payload.slice(2).split(',')) {
        const [id, partition, end] = part.split(':')
        this.ended(Number(id), Number(partition), Number(end))
      }
  }

  private async askForEnds(): Promise<void> {
    const rows = await this.connections.query<{ id: number; partition: number; end: number }>(
      `SELECT topic_id AS id, partition, next_offset AS "end" FROM ${this.connections.table('partitions')}`,
    )
    for (const { id, partition, end } of rows) this.ended(id, partition, end)
    const there = new Set(rows.map(({ id, partition }) => `${id}:${partition}`))
    for (const key of this.ends.keys()) if (!there.has(key)) this.gone(key)
  }

  private ended(topicId: number, partition: number, end: number): void {
    const key = `${topicId}:${partition}`
    if (end <= (this.ends.get(key) ?? -1)) return
    this.ends.set(key, end)
    for (const listener of this.appendListeners) listener(topicId, partition, end)
  }

  /** A topic was deleted: whoever reads it shall look, and be told. */
  private gone(key: string): void {
    this.ends.delete(key)
    const [id, partition] = key.split(':').map(Number)
    for (const listener of this.appendListeners) listener(id!, partition!, Number.POSITIVE_INFINITY)
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.pollMs)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
