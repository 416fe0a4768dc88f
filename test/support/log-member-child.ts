/**
 * A process that joins a group, prints a line for every assignment, and stays until it is killed. Its argument is JSON:
 * {log: ChildLog, join: {group, topic, sessionTimeoutMs}}.
 */
import type { Log } from '#streams/log/log.ts'
import type { ChildLog } from '../contracts/log/context.ts'

interface Task {
  readonly log: ChildLog
  readonly join: { readonly group: string; readonly topic: string; readonly sessionTimeoutMs: number }
}

const { log: address, join }: Task = JSON.parse(process.argv[2] ?? '')
const opened: Record<string, (options: unknown) => Log> = await import(address.module)
const log = opened[address.open]!(address.options)

await log.join({
  ...join,
  onAssigned: ({ partitions }) => process.stdout.write(`${JSON.stringify(partitions)}\n`),
  onRevoked: () => {},
})
setInterval(() => {}, 60_000)
