import { segments } from '#streams/domain/segments.ts'
import { tableOf } from '../output.ts'
import type { DayOutcome } from './replay.ts'

export interface DayView {
  show(outcome: DayOutcome, number: number, of: number): void
}

const barWidth = 40

/** One day below the other where lines are piped; on a terminal the days take turns in one place. */
export function dayView(stream: NodeJS.WritableStream = process.stdout): DayView {
  let drawn = 0
  if ((stream as Partial<NodeJS.WriteStream>).isTTY !== true)
    return { show: (outcome) => void stream.write(`${dayLine(outcome)}\n`) }
  return {
    show: (outcome, number, of) => {
      const lines = dayBlock(outcome, number, of)
      // Up over what stands there, and clear to the end of the screen.
      stream.write(`${drawn === 0 ? '' : `\x1b[${drawn}A\x1b[J`}${lines.join('\n')}\n`)
      drawn = lines.length
    },
  }
}

const levels = '▁▂▃▄▅▆▇█'

/** `2011-03-01   96 receipts  1024 buyers   31 moves  champions ▃ 205  loyal ▅ 310 …` */
export function dayLine({ date, transactions, buyers, changes, segments: counts, calibrated }: DayOutcome): string {
  const classified = Object.values(counts).reduce((sum, count) => sum + count, 0)
  const parts = Object.entries(counts).map(([id, count]) => {
    const level =
      count === 0 ? ' ' : levels[Math.min(levels.length - 1, Math.floor((count / classified) * levels.length))]
    return `${id} ${level} ${String(count).padStart(4)}`
  })
  const head = `${date} ${pad(transactions, 4)} receipts ${pad(buyers, 5)} buyers ${pad(changes, 5)} moves`
  const tail = calibrated === null ? '' : '  (cut-points calibrated)'
  return `${head}  ${parts.join('  ')}${tail}`
}

function dayBlock(outcome: DayOutcome, number: number, of: number): string[] {
  const { date, transactions, buyers, changes, segments: counts } = outcome
  const classified = Object.values(counts).reduce((sum, count) => sum + count, 0)
  const rows = Object.entries(counts).map(([id, clients]) => ({ id, clients }))
  const columns = [
    { title: 'segment', value: ({ id }: (typeof rows)[number]) => id },
    { title: 'name', value: ({ id }: (typeof rows)[number]) => segments.find((one) => one.id === id)?.name ?? id },
    { title: 'clients', value: ({ clients }: (typeof rows)[number]) => clients },
    {
      title: '',
      value: ({ clients }: (typeof rows)[number]) =>
        '█'.repeat(classified === 0 ? 0 : Math.round((clients / classified) * barWidth)),
    },
  ]
  return [
    `${date}  day ${number} of ${of}   ${transactions} receipts, ${buyers} buyers, ${changes} moved between segments`,
    '',
    ...tableOf(columns, rows),
  ]
}

function pad(value: number, width: number): string {
  return String(value).padStart(width)
}
