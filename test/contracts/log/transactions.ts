import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { TransactionalWriter } from '#streams/log/log.ts'
import { eventually } from '../../support/eventually.ts'
import { type LogContext, readAll, record, records, take, text } from './context.ts'

const childScript = fileURLToPath(new URL('../../support/log-writer-child.ts', import.meta.url))

/** Atomic, fenced, decided: what a transactional writer promises. */
export function transactionsContract(context: () => LogContext): void {
  const fencedWriter = async (id: string, log = context().log): Promise<TransactionalWriter> => {
    const writer = log.transactionalWriter(id)
    await writer.fence()
    return writer
  }

  /** Waits until a committed record is visible: on some logs that takes a moment after `commit`. */
  const visible = (topic: string, partition: number, values: string[]) =>
    eventually(async () => {
      expect((await readAll(context().log, topic, partition)).map(text)).toEqual(values)
      return true
    })

  describe('a transaction', () => {
    test('over several topics becomes visible at once at its commit, and not before', async () => {
      const [a, b] = [await context().topic('a', { partitions: 2 }), await context().topic('b')]
      const writer = await fencedWriter(context().id('atomic'))
      const reader = context().open().reader()
      for (const partition of [0, 1]) reader.seek(a, partition, 0)
      reader.seek(b, 0, 0)
      await writer.append(a, 0, records(3, 'a0-'))
      await writer.append(a, 1, records(2, 'a1-'))
      await writer.append(b, 0, records(4, 'b-'))
      expect(await take(reader, 1, 300)).toEqual([])
      await writer.commit()
      const seen = await take(reader, 9)
      expect(seen.map(({ topic, partition, value }) => `${topic}/${partition}/${text({ value })}`).sort()).toEqual(
        [
          ...records(3, `${a}/0/a0-`).map(text),
          ...records(2, `${a}/1/a1-`).map(text),
          ...records(4, `${b}/0/b-`).map(text),
        ].sort(),
      )
      await Promise.all([reader.close(), writer.close()])
    })

    test('that was aborted is never seen, wherever reading begins, and the next one of its writer is', async () => {
      const topic = await context().topic('aborted')
      const writer = await fencedWriter(context().id('aborter'))
      const committed: string[] = []
      for (let round = 0; round < 6; round++) {
        await writer.append(topic, 0, records(3, `${round}-`))
        if (round % 3 === 1) {
          await writer.commit()
          committed.push(...records(3, `${round}-`).map(text))
        } else await writer.abort()
      }
      await writer.append(topic, 0, [record('end')])
      await writer.commit()
      await visible(topic, 0, [...committed, 'end'])
      const [end] = await context().log.admin.endOffsets(topic)
      for (let from = 0; from < end!; from++)
        for (const each of await readAll(context().log, topic, 0, from))
          expect([...committed, 'end']).toContain(text(each))
      await writer.close()
    })

    test('of two writers that interleave and abort leaves only what was committed', async () => {
      const topic = await context().topic('interleaved')
      const [one, two] = [await fencedWriter(context().id('one')), await fencedWriter(context().id('two'))]
      const good: string[] = []
      for (let round = 0; round < 4; round++) {
        await one.append(topic, 0, [record(`bad-one-a${round}`)])
        await two.append(topic, 0, [record(`bad-two-a${round}`)])
        await one.append(topic, 0, [record(`bad-one-b${round}`)])
        // The writer that began first ends last, every other time.
        for (const writer of round % 2 === 0 ? [two, one] : [one, two]) await writer.abort()
        await one.append(topic, 0, [record(`bad-one-c${round}`)])
        await two.append(topic, 0, [record(`good-${round}`)])
        await two.commit()
        await one.abort()
        good.push(`good-${round}`)
      }
      await visible(topic, 0, good)
      const [end] = await context().log.admin.endOffsets(topic)
      for (let from = 0; from < end!; from++)
        expect((await readAll(context().log, topic, 0, from)).filter((each) => text(each).startsWith('bad'))).toEqual(
          [],
        )
      await Promise.all([one.close(), two.close()])
    })

    test('carries group offsets with it, or drops them with it', async () => {
      const topic = await context().topic('outputs')
      const input = await context().topic('input', { partitions: 2 })
      const group = context().id('group')
      const { admin } = context().log
      const writer = await fencedWriter(context().id('offsets'))
      expect(await admin.groupOffsets(group, input)).toEqual(new Map())
      await writer.append(topic, 0, [record('first')])
      await writer.commit({ group, topic: input, offsets: new Map([[1, 5]]) })
      await eventually(async () => expect(await admin.groupOffsets(group, input)).toEqual(new Map([[1, 5]])) ?? true)
      await visible(topic, 0, ['first'])
      await writer.append(topic, 0, [record('dropped')])
      await writer.abort()
      const later = await fencedWriter(context().id('offsets'))
      await later.append(topic, 0, [record('second')])
      await later.commit({ group, topic: input, offsets: new Map([[0, 9]]) })
      const both = new Map([
        [0, 9],
        [1, 5],
      ])
      await eventually(async () => expect(await admin.groupOffsets(group, input)).toEqual(both) ?? true)
      await Promise.all([writer.close(), later.close()])
    })

    test('of a fenced writer is refused with its group offsets, and the newer writer goes on', async () => {
      const topic = await context().topic('fenced')
      const input = await context().topic('fenced-input')
      const group = context().id('group')
      const id = context().id('zombie')
      const zombie = await fencedWriter(id)
      await zombie.append(topic, 0, [record('before')])
      await zombie.commit()
      await zombie.append(topic, 0, [record('zombie')])
      const successor = await fencedWriter(id, context().open())
      await successor.append(topic, 0, [record('after')])
      const stolen = { group, topic: input, offsets: new Map([[0, 3]]) }
      await expect(zombie.commit(stolen)).rejects.toMatchObject({ code: 'log_fenced' })
      await successor.commit()
      await visible(topic, 0, ['before', 'after'])
      expect(await context().log.admin.groupOffsets(group, input)).toEqual(new Map())
      await Promise.all([zombie.close(), successor.close()])
    })

    test('begun after its writer was fenced is refused too', async () => {
      const topic = await context().topic('late')
      const id = context().id('late')
      const zombie = await fencedWriter(id)
      const successor = await fencedWriter(id, context().open())
      const attempt = async () => {
        await zombie.append(topic, 0, [record('zombie')])
        await zombie.commit()
      }
      await expect(attempt()).rejects.toMatchObject({ code: 'log_fenced' })
      await successor.append(topic, 0, [record('after')])
      await successor.commit()
      await visible(topic, 0, ['after'])
      await Promise.all([zombie.close(), successor.close()])
    })

    test('left open by a writer that closed is dropped by the next writer', async () => {
      const topic = await context().topic('left')
      const id = context().id('left')
      const first = await fencedWriter(id)
      await first.append(topic, 0, [record('left open')])
      await first.close()
      const second = await fencedWriter(id)
      await second.append(topic, 0, [record('second')])
      await second.commit()
      await visible(topic, 0, ['second'])
      await second.close()
    })

    test('is not counted by end offsets while it is open, and a reader is not held up by its end', async () => {
      const topic = await context().topic('ends')
      const writer = await fencedWriter(context().id('open'))
      await context()
        .log.writer()
        .append(topic, 0, [record('plain')])
      const [before] = await context().log.admin.endOffsets(topic)
      await writer.append(topic, 0, records(5, 'open-'))
      expect(await context().log.admin.endOffsets(topic)).toEqual([before])
      await writer.commit()
      await eventually(async () => (await context().log.admin.endOffsets(topic))[0]! >= before! + 5)
      await writer.close()
    })

    test('leaves what others append meanwhile among the written ends as soon as that is confirmed', async () => {
      const { log } = context()
      const topic = await context().topic('beside')
      const [writer, plain] = [await fencedWriter(context().id('beside')), log.writer()]
      for (let round = 1; round <= 20; round++) {
        await writer.append(topic, 0, [record('open')])
        const offset = await plain.append(topic, 0, [record('plain')])
        const [written] = await log.admin.writtenEnds(topic)
        expect(written).toBeGreaterThan(offset)
        await writer.commit()
        await eventually(async () => (await log.admin.endOffsets(topic))[0]! >= written!)
      }
      await Promise.all([writer.close(), plain.close()])
    })

    test('can be read in every partition once the end offsets have reached what was written when it was committed', async () => {
      const [a, b] = [await context().topic('decided-a', { partitions: 2 }), await context().topic('decided-b')]
      const { admin } = context().log
      const writer = await fencedWriter(context().id('decided'))
      for (let round = 1; round <= 10; round++) {
        for (const partition of [0, 1]) await writer.append(a, partition, records(2, `${round}-`))
        await writer.append(b, 0, records(2, `${round}-`))
        await writer.commit()
        for (const topic of [a, b]) {
          const written = await admin.writtenEnds(topic)
          await eventually(async () => (await admin.endOffsets(topic)).every((end, i) => end >= written[i]!))
          for (const partition of written.keys())
            expect(await readAll(context().log, topic, partition)).toHaveLength(round * 2)
        }
      }
      await writer.close()
    })

    test('of a process killed in its middle leaves nothing visible, and its successor goes on', async () => {
      const topic = await context().topic('killed', { partitions: 2 })
      const id = context().id('killed')
      const child = await openChild(context(), { transactionalId: id, topic, committed: 2, open: 500 })
      child.kill('SIGKILL')
      await once(child, 'exit')
      const successor = await fencedWriter(id)
      await visible(topic, 0, ['committed-0', 'committed-1'])
      await successor.append(topic, 0, [record('successor')])
      await successor.append(topic, 1, [record('successor')])
      await successor.commit()
      await visible(topic, 0, ['committed-0', 'committed-1', 'successor'])
      await visible(topic, 1, ['successor'])
      await successor.close()
    })
  })
}

/** Starts a process that commits some records and stands in the middle of a transaction; answers when it is there. */
async function openChild(
  context: LogContext,
  work: { transactionalId: string; topic: string; committed: number; open: number },
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [childScript, JSON.stringify({ log: context.harness.child, work })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  const gone = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the child ended early with ${code}`)))
  await Promise.race([once(lines, 'line'), gone])
  gone.catch(() => {})
  return child
}
