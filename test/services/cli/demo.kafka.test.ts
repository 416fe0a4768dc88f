import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { sharedKafka } from '../../support/kafka/shared-kafka.ts'
import { ProcessorProcess } from '../../support/loyalty/processor-process.ts'
import { type StoredClients, storedClients } from '../../support/loyalty/stored-clients.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'
import {
  type CliRun,
  cleanEnvironment,
  lastJson,
  readRunFile,
  runLoyalty,
  startPlatform,
  stopPlatform,
} from './support/run-cli.ts'

const minutes = 60_000
const file = 'samples/online_retail.csv.gz'
const profile = ['--profile', 'online-retail']

async function exported(dataDir: string, settings: Record<string, string> = {}): Promise<string[]> {
  const run = await runLoyalty(['clients', 'export', '--data-dir', dataDir], settings)
  return run.stdout.trimEnd().split('\n')
}

/** What a report counts, without the time it took and the ids of the upload. */
function countsOf(run: CliRun): Record<string, unknown> {
  const { seconds: _, batch_id: __, task_id: ___, ...counts } = lastJson<Record<string, unknown>>(run)
  return counts
}

describe('the retail sample through Apache Kafka', () => {
  let brokers: string[]
  /** What the log in PostgreSQL made of it. */
  let reference: { readonly counts: Record<string, unknown>; readonly lines: string[]; readonly stored: StoredClients }
  const directories: TempDir[] = []
  const directory = async () => {
    const made = await tempDir('loyalty-kafka-demo-')
    directories.push(made)
    return made.path
  }

  const onKafka = () => ({
    LOYALTY_LOG: 'kafka',
    LOYALTY_KAFKA_BROKERS: brokers.join(','),
    LOYALTY_TOPIC_PREFIX: `demo-${randomBytes(4).toString('hex')}`,
  })

  beforeAll(async () => {
    brokers = await sharedKafka()
    const onPostgres = await directory()
    const counts = countsOf(await runLoyalty(['demo', '--exit', '--json', '--data-dir', onPostgres]))
    reference = { counts, lines: await exported(onPostgres), stored: await storedClients([onPostgres]) }
    expect(counts).toMatchObject({ accepted: 22_186, duplicates: 0, dead_letters: 0, gross_minor: 891_140_790 })
    expect(reference.lines).toHaveLength(4_372)
    expect(Object.keys(reference.stored.digests)).toHaveLength(4_371)
  }, 3 * minutes)

  afterAll(() => Promise.all(directories.map((dir) => dir.remove())))

  it(
    'gives the same ledgers, evaluations and counts as the log in PostgreSQL, and a second upload changes nothing',
    async () => {
      const settings = onKafka()
      const dataDir = await directory()
      const demo = await runLoyalty(['demo', '--exit', '--json', '--data-dir', dataDir], settings)
      expect(countsOf(demo)).toEqual(reference.counts)
      expect(await exported(dataDir, settings)).toEqual(reference.lines)

      const second = await runLoyalty(['ingest', file, ...profile, '--json', '--data-dir', dataDir], settings)
      expect(lastJson(second)).toMatchObject({ accepted: 0, duplicates: 22_186 })
      expect(await exported(dataDir, settings)).toEqual(reference.lines)
      expect(await storedClients([dataDir])).toEqual(reference.stored)
    },
    4 * minutes,
  )

  it(
    'gives the same with three processors that share the partitions',
    async () => {
      const programme = { LOYALTY_CURRENCY: 'GBP', LOYALTY_TIME_ZONE: 'Europe/London', LOYALTY_CLOCK: 'events' }
      const dataDir = await directory()
      const platform = await startPlatform(dataDir, { ...onKafka(), ...programme })
      const others: ProcessorProcess[] = []
      const owners = new Map<number, string>()
      const ingest = () => runLoyalty(['ingest', file, ...profile, '--wait', '--json', '--data-dir', dataDir])
      try {
        const { environment, urls } = readRunFile(dataDir)
        for (let i = 0; i < 2; i++)
          others.push(new ProcessorProcess({ env: cleanEnvironment({ ...environment }), dataDir: await directory() }))
        const shares = () => Promise.all([tasksAt(urls.processor!), ...others.map((one) => one.owned())])
        await eventually(async () => (await shares()).every(({ length }) => length >= 2), {
          timeoutMs: 30_000,
          what: 'three processors with partitions of their own',
        })
        expect(countsOf(await ingest())).toEqual(reference.counts)
        expect(await exported(dataDir)).toEqual(reference.lines)
        expect(lastJson(await ingest())).toMatchObject({ accepted: 0, duplicates: 22_186 })
        expect(await exported(dataDir)).toEqual(reference.lines)
        const directories = [dataDir, ...others.map((one) => one.dataDir)]
        for (const [i, partitions] of (await shares()).entries())
          for (const partition of partitions) owners.set(partition, directories[i]!)
      } finally {
        await Promise.all(others.map((one) => one.stop()))
        await stopPlatform(platform)
      }
      const stored = await storedClients([dataDir, ...others.map((one) => one.dataDir)], owners)
      expect(stored).toEqual({ digests: reference.stored.digests, holders: 3 })
    },
    4 * minutes,
  )
})

/** Partitions whose tasks run in the processor at an address. */
async function tasksAt(url: string): Promise<number[]> {
  const { tasks } = (await (await fetch(`${url}/status`)).json()) as { tasks: { partition: number; state: string }[] }
  return tasks.filter(({ state }) => state === 'running').map(({ partition }) => partition)
}
