import { Presets, SingleBar } from 'cli-progress'

export interface Progress {
  /** Moves to `value` of the total; `stage` says what is being done. */
  update(value: number, stage: string): void
  /** Has `say` write whole lines to the same stream: on a terminal the bar goes on below them. */
  apart(say: () => void): void
  stop(): void
}

/** A bar, by default on standard error; without a terminal a line of it every two seconds. */
export function progressBar(total: number, stream: NodeJS.WritableStream = process.stderr): Progress {
  const bar = new SingleBar(
    {
      format: '{bar} {percentage}% {stage}',
      stream,
      hideCursor: true,
      clearOnComplete: false,
      noTTYOutput: true,
      notTTYSchedule: 2_000,
    },
    Presets.shades_classic,
  )
  let drawn = { value: 0, stage: '' }
  const start = () => bar.start(total, drawn.value, { stage: drawn.stage })
  start()
  return {
    update: (value, stage) => {
      drawn = { value: Math.min(value, total), stage }
      bar.update(drawn.value, { stage })
    },
    apart: (say) => {
      const interrupted = (stream as Partial<NodeJS.WriteStream>).isTTY === true && bar.isActive
      if (interrupted) bar.stop()
      say()
      if (interrupted) start()
    },
    stop: () => bar.stop(),
  }
}
