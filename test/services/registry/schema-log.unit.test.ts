import { expect, test } from 'vitest'
import { SchemaLog } from '#services/registry/schema-log.ts'
import { MemoryLog } from '../../support/memory-log.ts'

test('a registry whose log is closed under it says so once, keeps nobody waiting, and holds nothing up', async () => {
  const log = new MemoryLog()
  const faults: unknown[] = []
  const schemas = await SchemaLog.open(log, 'schemas', { onFault: (error) => faults.push(error) })
  const closed = expect.objectContaining({ code: 'log_closed' })
  await log.close()
  await log
    .connect()
    .writer()
    .append('schemas', 0, [{ key: Buffer.from('{}'), value: null }])
  const startedAt = performance.now()
  await expect(schemas.catchUp()).rejects.toMatchObject({ code: 'registry_store_behind', cause: closed })
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  // Timers run: whoever reads on at once and for ever would let none.
  await new Promise((resolve) => setTimeout(resolve, 1))
  expect(faults).toEqual([closed])
  await schemas.close()
})
