import { join } from 'node:path'
import { awaitTask, sendFile } from '#services/cli/upload.ts'
import { readConfig } from '#services/platform/config.ts'
import { createLogger } from '#services/platform/logging.ts'
import { type Platform, startPlatform } from '#services/standalone/platform.ts'
import { platformSetup } from '#services/wiring/setup.ts'
import type { Bench, BenchTools, Figures } from './bench.ts'
import { perSecond } from './bench.ts'
import { fours, lineFiles, mixed, profileOf, type ReceiptOf, writeLines } from './line-files.ts'
import { samplePrograms, type Usage } from './process-meter.ts'

const lines = 1_000_000
const clients = 50_000

/**
 * Files of receipt lines through the whole platform: every program and both databases on this machine. The first upload
 * begins the programme, which is calibrated by it and then evaluates every client anew; those after it bring receipts of
 * the same days.
 */
export const uploadBench: Bench = {
  name: 'upload',
  about: `lines/s of files of ${lines.toLocaleString('en')} receipt lines from upload to COMPLETED: four a receipt, one to four`,
  run: async (tools) => {
    const count = tools.rows ?? lines
    const platform = await openPlatform(tools)
    const uploads = [
      { name: 'first', receiptOf: fours, shares: 'zipf' },
      { name: 'fours', receiptOf: fours, shares: 'zipf' },
      { name: 'mixed', receiptOf: mixed, shares: 'zipf' },
      { name: 'equal', receiptOf: mixed, shares: 'equal' },
    ] as const
    const figures: Record<string, Figures[string]> = {}
    let firstReceipt = 0
    for (const { name, receiptOf, shares } of uploads) {
      const path = join(tools.dir.path, `${name}.csv`)
      await writeLines(path, lineFiles.ascii, { lines: count, clients, shares, receiptOf, firstReceipt })
      const found = await uploadFigures(platform, { path, lines: count, receiptOf }, tools)
      for (const [figure, value] of Object.entries(found)) figures[`${name}_${figure}`] = value
      firstReceipt += receiptOf(count - 1) + 1
    }
    return figures
  },
}

export async function openPlatform({ dir, onEnd, say }: BenchTools): Promise<Platform> {
  const env = {
    ...process.env,
    LOYALTY_DATA_DIR: join(dir.path, 'data'),
    LOYALTY_CURRENCY: 'RUB',
    LOYALTY_TIME_ZONE: 'Europe/Moscow',
    LOYALTY_CLOCK: 'events',
  }
  const setup = platformSetup(createLogger('bench', 'warn'), say)
  const platform = await startPlatform({ config: readConfig(env), env, setup, tell: say })
  onEnd(() => platform.stop())
  return platform
}

export interface LinesUpload {
  readonly path: string
  readonly lines: number
  readonly receiptOf: ReceiptOf
}

/** Uploads a file as `writeLines` writes it; what it takes, and what every program takes of that. */
export async function uploadFigures(
  platform: Platform,
  { path, lines, receiptOf }: LinesUpload,
  { say }: Pick<BenchTools, 'say'>,
): Promise<Figures> {
  const before = programsNow()
  const startedMs = performance.now()
  const { taskId } = await sendFile(platform.urls.api, path, { profile: JSON.stringify(profileOf(lineFiles.ascii)) })
  const report = await awaitTask(platform.urls.api, taskId, () => {}, new AbortController().signal)
  const ms = performance.now() - startedMs
  const receipts = receiptOf(lines - 1) + 1
  if (report.rows.accepted !== lines || report.accepted !== receipts)
    throw new Error(`of ${lines} lines and ${receipts} receipts, not every one counted: ${JSON.stringify(report)}`)
  const after = programsNow()
  const { peakMiB } = after.get('ingest')!
  const cpu = [...after].map(([name, { cpuSeconds }]) => {
    const seconds = (cpuSeconds ?? Number.NaN) - (before.get(name)?.cpuSeconds ?? 0)
    return [`${name}_cpu_us_per_line`, Math.round((seconds * 1e7) / lines) / 10] as const
  })
  say(`COMPLETED ${Math.round(ms / 100) / 10} s after the upload; ingest used ${peakMiB} MiB at most`)
  return {
    lines,
    receipts,
    lines_per_second: perSecond(lines, ms),
    ingest_peak_rss_mib: peakMiB,
    ...Object.fromEntries(cpu),
    ...Object.fromEntries(Object.entries(report.seconds).map(([phase, value]) => [`${phase}_seconds`, value])),
  }
}

function programsNow(): Map<string, Usage> {
  const programs = new Map<string, Usage>()
  samplePrograms(process.pid, programs)
  return programs
}
