import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Assignment, GroupMembership, Log } from '#streams/log/log.ts'
import { eventually } from '../../support/eventually.ts'
import type { LogContext } from './context.ts'

const childScript = fileURLToPath(new URL('../../support/log-member-child.ts', import.meta.url))

/** A member and what it was told. */
interface Watched {
  readonly member: GroupMembership
  readonly told: Assignment[]
  revoked: number
  /** What it owns now; undefined between `onRevoked` and `onAssigned`. */
  owned: readonly number[] | undefined
}

/** Who owns what: sharing the partitions of a topic. */
export function membershipContract(context: () => LogContext): void {
  const sessionMs = () => Math.max(context().harness.shortestSessionMs ?? 0, 1_000)

  const join = async (log: Log, group: string, topic: string): Promise<Watched> => {
    const told: Assignment[] = []
    const watched: Omit<Watched, 'member'> = { told, revoked: 0, owned: undefined }
    const member = await log.join({
      group,
      topic,
      sessionTimeoutMs: sessionMs(),
      onAssigned: (assignment) => {
        told.push(assignment)
        watched.owned = assignment.partitions
      },
      onRevoked: () => {
        watched.revoked++
        watched.owned = undefined
      },
    })
    return Object.assign(watched, { member })
  }

  const all = (members: Watched[]) => members.flatMap(({ owned }) => owned ?? [-1]).sort((a, b) => a - b)

  const shared = (members: Watched[], partitions: number, timeoutMs = 15_000) =>
    eventually(() => expect(all(members)).toEqual(Array.from({ length: partitions }, (_, each) => each)) ?? true, {
      timeoutMs,
    })

  describe('a group', () => {
    test('gives one member everything, shares with a second, and gives it back when that leaves', async () => {
      const topic = await context().topic('share', { partitions: 5 })
      const group = context().id('group')
      const one = await join(context().open(), group, topic)
      await shared([one], 5)
      const two = await join(context().open(), group, topic)
      await shared([one, two], 5)
      expect([one.owned!.length, two.owned!.length].sort()).toEqual([2, 3])
      expect(one.revoked).toBeGreaterThanOrEqual(1)
      expect(one.told.at(-1)!.generation).toBe(two.told.at(-1)!.generation)
      const generations = one.told.map(({ generation }) => generation)
      expect(generations).toEqual([...new Set(generations)].sort((a, b) => a - b))
      expect(await one.member.stillMember()).toBe(true)
      expect(await two.member.stillMember()).toBe(true)
      await two.member.leave()
      await shared([one], 5)
      expect(one.told.at(-1)!.generation).toBeGreaterThan(generations.at(-1)!)
      await one.member.leave()
    })

    test('moves no more partitions than it must', async () => {
      const topic = await context().topic('sticky', { partitions: 6 })
      const group = context().id('group')
      const members: Watched[] = []
      for (let count = 1; count <= 3; count++) {
        const before = members.map(({ owned }) => owned ?? [])
        members.push(await join(context().open(), group, topic))
        await shared(members, 6)
        for (const [index, held] of before.entries())
          expect(held).toEqual(expect.arrayContaining([...members[index]!.owned!]))
      }
      await Promise.all(members.map(({ member }) => member.leave()))
    })

    test('of more members than partitions leaves some with none, who take over', async () => {
      const topic = await context().topic('spare', { partitions: 1 })
      const group = context().id('group')
      const members = [await join(context().open(), group, topic), await join(context().open(), group, topic)]
      await shared(members, 1)
      const owner = members.find(({ owned }) => owned?.length === 1)!
      const spare = members.find((each) => each !== owner)!
      expect(spare.owned).toEqual([])
      await owner.member.leave()
      await shared([spare], 1)
      await spare.member.leave()
    })

    test('takes the partitions of a killed process back within its session', async () => {
      const topic = await context().topic('killed-member', { partitions: 4 })
      const group = context().id('group')
      const one = await join(context().open(), group, topic)
      const child = await memberChild(context(), { group, topic, sessionTimeoutMs: sessionMs() })
      await eventually(() => one.owned?.length === 2, { timeoutMs: 15_000 })
      child.kill('SIGKILL')
      await once(child, 'exit')
      await shared([one], 4, sessionMs() + 10_000)
      await one.member.leave()
    })

    test('drops a process that stands still past its session; resumed, it is told and joins again', async () => {
      const topic = await context().topic('stopped-member', { partitions: 4 })
      const group = context().id('group')
      const one = await join(context().open(), group, topic)
      const child = await memberChild(context(), { group, topic, sessionTimeoutMs: sessionMs() })
      await eventually(() => one.owned?.length === 2, { timeoutMs: 15_000 })
      child.kill('SIGSTOP')
      await shared([one], 4, sessionMs() + 15_000)
      child.kill('SIGCONT')
      await eventually(() => one.owned?.length === 2, { timeoutMs: 30_000 })
      child.kill('SIGKILL')
      await once(child, 'exit')
      await one.member.leave()
    })

    test('no longer counts a member that left', async () => {
      const topic = await context().topic('left-member')
      const one = await join(context().open(), context().id('group'), topic)
      await shared([one], 1)
      await one.member.leave()
      expect(await one.member.stillMember()).toBe(false)
    })
  })
}

/** Starts a process that joins and stays; answers once it has been given something. */
async function memberChild(
  context: LogContext,
  join: { group: string; topic: string; sessionTimeoutMs: number },
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [childScript, JSON.stringify({ log: context.harness.child, join })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  const gone = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the child ended early with ${code}`)))
  await Promise.race([once(lines, 'line'), gone])
  gone.catch(() => {})
  return child
}
