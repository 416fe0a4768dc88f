/**
 * Thread of a host without tasks: it does as `workerData.behaviour` says. `closes` counts in shared memory how many such
 * hosts were closed.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { createLogger } from '#services/platform/logging.ts'
import type { TaskHost } from '#services/processor/hosts.ts'
import { serveTaskHost } from '#services/processor/thread-server.ts'
import { LoyaltyError } from '#streams/core/error.ts'

export type Behaviour = 'well' | 'refuses' | 'throws aside' | 'ends' | 'ends at close' | 'closes late'

const { behaviour, closes }: { behaviour: Behaviour; closes: Int32Array } = workerData

const host: TaskHost = {
  async prepare() {
    if (behaviour === 'refuses')
      throw new LoyaltyError('registry_unavailable', 'it is away', { retriable: true, details: { url: 'u' } })
  },
  async start() {
    if (behaviour === 'throws aside')
      setImmediate(() => {
        throw new Error('thrown aside')
      })
    if (behaviour === 'ends') process.exit(3)
  },
  view: async () => ({ joined: true, tasks: [] }),
  metrics: async () => [],
  async close() {
    if (behaviour === 'ends at close') process.exit(3)
    if (behaviour === 'closes late') await delay(100)
    Atomics.add(closes, 0, 1)
  },
}

if (parentPort !== null) serveTaskHost(parentPort, host, createLogger('processor', 'silent'))
