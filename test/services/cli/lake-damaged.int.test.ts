import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { directoryStore } from '#services/lake/directory-store.ts'
import type { LakeStore } from '#services/lake/store.ts'
import { Publisher, sale } from '../../support/loyalty/publisher.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import { archiveAll, topics } from '../lake/support/world.ts'
import { lastJson, runLoyalty } from './support/run-cli.ts'

const settings = { LOYALTY_PARTITIONS: '2' }
const entries = `manifest/streams/${topics.transactions}/p000/entries/`

let dir: TempDir
let place: string
let store: LakeStore

beforeAll(async () => {
  dir = await tempDir('loyalty-lake-')
  place = join(dir.path, 'lake')
  store = directoryStore(place)
  const [log, registry] = [new MemoryLog(), new MemoryRegistry()]
  const publisher = await Publisher.open(log, registry, topics, 2)
  await publisher.programme()
  const records = Array.from({ length: 60 }, (_, i) => publisher.encode(sale(`c${i % 9}`)))
  await log.writer().append(topics.transactions, 0, records)
  await archiveAll({ log, registry, store, rangeBytes: 400 })
})
afterAll(() => dir.remove())

test('what a lake does not account for is told, and imported without it only when told to', async () => {
  expect(await runLoyalty(['lake', 'verify', place])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('all is as it was written'),
  })
  await rm(join(place, (await Array.fromAsync(store.list(entries))).at(-1)!))
  const verified = await runLoyalty(['lake', 'verify', place])
  expect(verified.code).toBe(1)
  expect(verified.stdout).toMatch(/NOT ALL IS ACCOUNTED FOR: 1 range\(s\) without an entry, 1 file\(s\) in no manifest/)
  expect(verified.stdout).not.toContain('all is as it was written')
  const rebuild = ['import', '--from-lake', place, '--data-dir', join(dir.path, 'rebuilt')]
  expect(await runLoyalty(rebuild, settings)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('data_loss_unconfirmed'),
  })
  const { code, stdout } = await runLoyalty([...rebuild, '--accept-data-loss'], settings)
  expect(code).toBe(0)
  expect(stdout).toMatch(/not imported: loyalty\.transactions\[0\]: offsets \d+ to 59 were begun and have no entry/)
  expect(stdout).toMatch(/not imported: in no manifest: event_type=transaction\//)

  await store.put((await Array.fromAsync(store.list(entries)))[0]!, Buffer.from('{'))
  const damaged = await runLoyalty(['lake', 'verify', place, '--json'])
  expect(damaged.code).toBe(1)
  expect(lastJson(damaged)).toMatchObject({ faults: [expect.stringContaining('is no JSON'), expect.any(String)] })
}, 240_000)
