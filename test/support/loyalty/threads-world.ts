import { join } from 'node:path'
import { eventually } from '../eventually.ts'
import { type TempDir, tempDir } from '../temp-dir.ts'
import { ProcessorProcess } from './processor-process.ts'
import { type LogPlace, StreamWorld } from './stream-world.ts'
import { jan10 } from './traffic.ts'

/** What `/status` says of a task, as far as threads are concerned. */
export interface TaskOfThread {
  readonly partition: number
  readonly state: string
  readonly thread: number
}

/** A programme on a real log, with date and cut-points, and processors of several threads on it. */
export class ThreadsWorld {
  readonly world: StreamWorld
  readonly #dir: TempDir
  readonly #processors: ProcessorProcess[] = []

  private constructor(world: StreamWorld, dir: TempDir) {
    this.world = world
    this.#dir = dir
  }

  static async open(place: LogPlace, partitions: number): Promise<ThreadsWorld> {
    const world = await StreamWorld.open(place, { partitions })
    await world.publisher.cutPoints([10, 20, 30], [1, 2], [5_000])
    await world.publisher.day(jan10)
    return new ThreadsWorld(world, await tempDir())
  }

  path(name: string): string {
    return join(this.#dir.path, name)
  }

  /** The real program of two threads; `name` is its data directory. */
  start(name: string, env: Readonly<Record<string, string>> = {}): ProcessorProcess {
    const processor = new ProcessorProcess({
      env: { ...this.world.env, LOYALTY_PROCESSOR_THREADS: '2', ...env },
      dataDir: this.path(name),
    })
    this.#processors.push(processor)
    return processor
  }

  async close(): Promise<void> {
    for (const processor of this.#processors) await processor.kill()
    await this.world.close()
    await this.#dir.remove()
  }
}

export function get(processor: ProcessorProcess, path: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${processor.port}${path}`)
}

export async function tasksOf(processor: ProcessorProcess): Promise<TaskOfThread[]> {
  const { tasks } = (await (await get(processor, '/status')).json()) as { tasks: TaskOfThread[] }
  return tasks
}

/** Resolves once the threads, in the order of their numbers, have as many tasks each as `expected` says, which all run. */
export async function shared(processor: ProcessorProcess, expected: readonly number[]): Promise<void> {
  await eventually(
    async () => {
      if (processor.port === 0) return false
      const tasks = await tasksOf(processor)
      const counts = expected.map((_, index) => tasks.filter(({ thread }) => thread === index + 1).length)
      return (
        counts.every((count, index) => count === expected[index]) && tasks.every(({ state }) => state === 'running')
      )
    },
    { timeoutMs: 40_000, everyMs: 50, what: `sharing tasks ${expected.join(' to ')}` },
  )
}

/** Sum of the samples of a metric. */
export async function sample(processor: ProcessorProcess, name: string): Promise<number> {
  const text = await (await get(processor, '/metrics')).text()
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))]
  return values.reduce((sum, [, value]) => sum + Number(value), 0)
}
