import { decoderOf } from '#schemas/decoder.ts'
import type { Registry } from '#schemas/registry.ts'
import { type Context, evolve, initialContext } from '#streams/domain/context.ts'
import type { Log } from '#streams/log/log.ts'
import { controlEventOf } from '#streams/topologies/context.ts'

const pollMs = 1_000
const retryMs = 1_000

/**
 * The programme's context – settings, date, cut-points, active model – kept current by following the control topic. With
 * the log or the registry down it stays as it was.
 */
export class ProgrammeFollower {
  #context: Context = initialContext()
  #closing = false
  readonly #following: Promise<void>

  constructor(log: Log, registry: Registry, controlTopic: string, onWarning: (error: unknown) => void) {
    this.#following = this.#follow(log, registry, controlTopic, onWarning)
  }

  get context(): Context {
    return this.#context
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#following
  }

  async #follow(log: Log, registry: Registry, topic: string, onWarning: (error: unknown) => void): Promise<void> {
    const decoder = decoderOf(registry, 'ProgrammeConfigured', 'DayStarted', 'CutPointsPublished', 'ModelActivated')
    let next = 0
    while (!this.#closing) {
      const reader = log.reader()
      try {
        reader.seek(topic, 0, next)
        while (!this.#closing)
          for (const batch of await reader.poll(pollMs)) {
            for (const record of batch.records) {
              const decoded = await decoder.read(record.value)
              if (decoded.kind === 'ok') this.#context = evolve(this.#context, controlEventOf(decoded))
              next = record.offset + 1
            }
            next = batch.nextOffset
          }
      } catch (error) {
        onWarning(error)
        await new Promise((resolve) => setTimeout(resolve, retryMs))
      } finally {
        await reader.close().catch(() => {})
      }
    }
  }
}
