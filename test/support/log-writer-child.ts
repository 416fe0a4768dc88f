/**
 * A process that commits `committed` records to partition 0 of a topic, then appends `open` records to each of its
 * partitions in a transaction that it never ends, prints a line and waits to be killed. Its argument is JSON:
 * {log: ChildLog, work: {transactionalId, topic, committed, open}}.
 */
import type { Log, NewRecord } from '#streams/log/log.ts'
import type { ChildLog } from '../contracts/log/context.ts'

interface Task {
  readonly log: ChildLog
  readonly work: {
    readonly transactionalId: string
    readonly topic: string
    readonly committed: number
    readonly open: number
  }
}

const { log: address, work }: Task = JSON.parse(process.argv[2] ?? '')
const opened: Record<string, (options: unknown) => Log> = await import(address.module)
const log = opened[address.open]!(address.options)

const writer = log.transactionalWriter(work.transactionalId)
await writer.fence()
await writer.append(work.topic, 0, made('committed', work.committed))
await writer.commit()
const partitions = (await log.admin.partitions(work.topic)) ?? 0
for (let partition = 0; partition < partitions; partition++)
  await writer.append(work.topic, partition, made('open', work.open))
process.stdout.write('in the middle\n')
setInterval(() => {}, 60_000)

function made(name: string, count: number): NewRecord[] {
  return Array.from({ length: count }, (_, index) => ({ key: null, value: Buffer.from(`${name}-${index}`) }))
}
