import { Presets, SingleBar } from 'cli-progress'

export interface Progress {
  /** Moves to `value` of the total; `stage` says what is being done. */
  update(value: number, stage: string): void
  stop(): void
}

/** A bar on standard error; without a terminal a line of it every two seconds. */
export function progressBar(total: number): Progress {
  const bar = new SingleBar(
    {
      format: '{bar} {percentage}% {stage}',
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: false,
      noTTYOutput: true,
      notTTYSchedule: 2_000,
    },
    Presets.shades_classic,
  )
  bar.start(total, 0, { stage: '' })
  return {
    update: (value, stage) => bar.update(Math.min(value, total), { stage }),
    stop: () => bar.stop(),
  }
}
