import { renameSync, writeFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { threadsContract } from '../../contracts/threads-contract.ts'
import { checkInvariants } from '../../support/loyalty/invariants.ts'
import { shared, ThreadsWorld } from '../../support/loyalty/threads-world.ts'
import { traffic } from '../../support/loyalty/traffic.ts'
import { type RunningPostgres, startPostgres } from '../../support/postgres.ts'
import { newDatabase } from '../ingest/support/world.ts'

let postgres: RunningPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres?.stop())

const place = async () => ({ postgres: await newDatabase(postgres.url) })

threadsContract('the Postgres log', place)

describe('a processor of two threads ends with code 1, and the next start goes on, when', () => {
  let threads: ThreadsWorld
  afterEach(() => threads?.close())

  for (const [what, order] of [
    ['an error reaches the top of one', 'it broke'],
    ['one of them ends by itself', 'exit'],
  ] as const)
    test(what, async () => {
      threads = await ThreadsWorld.open(await place(), 2)
      const file = threads.path('order')
      const processor = threads.start('a', {
        NODE_OPTIONS: `--import ${new URL('../../support/failing-thread.ts', import.meta.url)}`,
        FAIL_FILE: file,
        FAIL_THREAD: '2',
      })
      await shared(processor, [1, 1])
      await threads.world.publisher.transactions(traffic(1))
      // One that leaves within a call of a native library takes the process along, as a signal does.
      if (order === 'exit') await threads.world.settled()
      writeFileSync(`${file}.new`, order)
      renameSync(`${file}.new`, file)
      expect(await processor.ended(), processor.output).toBe('1')
      const fatal = processor.output.split('\n').filter((line) => line.includes('"level":"fatal"'))
      expect(fatal.join('\n')).toContain('thread 2 of the processor failed')
      if (order !== 'exit') expect(fatal.join('\n')).toContain(order)
      threads.start('a')
      await threads.world.publisher.transactions(traffic(2))
      await threads.world.settled()
      await checkInvariants(threads.world)
    })
})
