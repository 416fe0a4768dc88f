import { Presets, SingleBar } from 'cli-progress'

export interface Progress {
  /** Moves to `value` of the total; `stage` says what is being done. */
  update(value: number, stage: string): void
  /** Has `say` write whole lines to the same stream: on a terminal the bar goes on below them. */
  apart(say: () => void): void
  stop(): void
}

/**
 * How far long work is, by default on standard error: a bar on a terminal. Elsewhere, lines: one when something has
 * changed, every two seconds at most, and a sign of life every thirty.
 */
export function progressBar(total: number, stream: NodeJS.WritableStream = process.stderr): Progress {
  const onTerminal = (stream as Partial<NodeJS.WriteStream>).isTTY === true
  return onTerminal ? drawnBar(total, stream) : writtenLines(total, stream)
}

function drawnBar(total: number, stream: NodeJS.WritableStream): Progress {
  const bar = new SingleBar(
    { format: '{bar} {percentage}% {stage}', stream, hideCursor: true, clearOnComplete: false },
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
      const interrupted = bar.isActive
      if (interrupted) bar.stop()
      say()
      if (interrupted) start()
    },
    stop: () => bar.stop(),
  }
}

const quietMs = 2_000
const signOfLifeMs = 30_000

function writtenLines(total: number, stream: NodeJS.WritableStream): Progress {
  let line = ''
  let written = ''
  let timer: NodeJS.Timeout | undefined
  let quiet = false
  let ended = false
  const write = () => {
    written = line
    stream.write(`${line}\n`)
    quiet = true
    clearTimeout(timer)
    timer = setTimeout(speakAgain, quietMs)
  }
  const speakAgain = () => {
    quiet = false
    if (line !== written) write()
    else timer = setTimeout(write, signOfLifeMs - quietMs)
  }
  return {
    update: (value, stage) => {
      if (ended) return
      const share = total === 0 ? 1 : Math.min(value, total) / total
      line = `${Math.floor(share * 100)}% ${stage}`
      if (!quiet && line !== written) write()
    },
    apart: (say) => say(),
    stop: () => {
      if (!ended && line !== written) write()
      ended = true
      clearTimeout(timer)
    },
  }
}
