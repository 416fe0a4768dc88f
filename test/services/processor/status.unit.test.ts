import { Writable } from 'node:stream'
import { afterEach, expect, test } from 'vitest'
import { topicsOf } from '#schemas/topics.ts'
import { createLogger } from '#services/platform/logging.ts'
import type { RunningProcessor } from '#services/processor/program.ts'
import { MemoryStateStore } from '#streams/state/memory-state-store.ts'
import { eventually } from '../../support/eventually.ts'
import { processorHere } from '../../support/loyalty/processor-here.ts'
import { Publisher } from '../../support/loyalty/publisher.ts'
import { ruleLoader } from '../../support/loyalty/rule-classifier.ts'
import { MemoryLog } from '../../support/memory-log.ts'
import { MemoryRegistry } from '../../support/memory-registry.ts'

let processor: RunningProcessor | null = null
afterEach(() => processor?.close())

const model = (version: string) => ({ id: 'rule', version, sha256: version.padStart(64, '0') })

test('the status tells the model in force beside the activated one', async () => {
  const log = new MemoryLog()
  const registry = new MemoryRegistry()
  const topics = topicsOf('loyalty')
  const publisher = await Publisher.open(log, registry, topics, 1)
  await publisher.programme()
  await publisher.model('1')
  const missing = new Set<string>()
  processor = await processorHere({
    log,
    topics,
    registry,
    classifiers: ruleLoader(missing),
    logger: createLogger('processor', 'info', new Writable({ write: (_chunk, _encoding, done) => done() })),
    stateDir: 'unused',
    openStore: () => new MemoryStateStore(),
    modelRetryMs: 5,
  })
  const says = (expected: { model: unknown; model_in_force: unknown }) =>
    eventually(async () => {
      const answer = await fetch(`${processor!.url}/status`)
      const { tasks } = (await answer.json()) as { tasks: { model: unknown; model_in_force: unknown }[] }
      expect(tasks).toMatchObject([expected])
      return true
    })
  await says({ model: model('1'), model_in_force: null })
  await publisher.day(19_732)
  await says({ model: model('1'), model_in_force: model('1') })
  missing.add('2')
  await publisher.model('2')
  await says({ model: model('2'), model_in_force: model('1') })
  missing.clear()
  await says({ model: model('2'), model_in_force: model('2') })
})
