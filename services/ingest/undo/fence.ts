import type { UndoStore } from '../store/undos.ts'
import type { Generations } from './generations.ts'

/**
 * Keeps what this program knows of generations level with what any program has ended.
 *
 * Whoever publishes transactions under ids that he was given earlier asks `catchUp` once they are durable, and publishes
 * those whose ids have ended meanwhile once more. An undo says in the database that its generations have ended before it
 * takes its last look at the log (`publishLate`). So either that was said before he asked, and he hears of it; or his
 * records were durable before it was said, and the last look sees them. No third case, and no time in it: on every log a
 * record that was confirmed lies below the ends that are told afterwards.
 */
export class GenerationFence {
  readonly generations: Generations
  readonly #undos: Pick<UndoStore, 'countEnded' | 'endedTasks'>
  /** Undos of which this program has what they ended. */
  #known = 0

  constructor(generations: Generations, undos: Pick<UndoStore, 'countEnded' | 'endedTasks'>) {
    this.generations = generations
    this.#undos = undos
  }

  /**
   * Errors: `generations_lost` (retriable). While the database does not answer, what is seen of the others in the directory
   * counts: tills need the log, not the database.
   */
  async catchUp(): Promise<void> {
    const count = await this.#undos.countEnded().catch(() => null)
    if (count === this.#known) return
    const ended = count === null ? [] : await this.#undos.endedTasks()
    await this.generations.refresh()
    this.generations.mustHave(ended)
    if (count !== null) this.#known = ended.length
  }
}
