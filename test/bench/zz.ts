import { rm } from 'node:fs/promises'
import { EventEncoder } from '#schemas/encoder.ts'
import { prepareReceipts } from '#services/ingest/receipts/prepare.ts'
import { lineFiles, profileOf, writeLines } from './line-files.ts'
import { existsSync } from 'node:fs'
const path = '/tmp/t/lines.csv'
if (!existsSync(path)) await writeLines(path, lineFiles.ascii, 1_000_000, 50_000)
const profile = profileOf(lineFiles.ascii)
for (let i = 0; i < Number(process.argv[2] ?? 2); i++) {
  await rm('/tmp/t/prep', { recursive: true, force: true })
  const t = performance.now(); const c = process.cpuUsage()
  const m = await prepareReceipts({ profile, directory: '/tmp/t/prep', rowsKey: 'a', eventsKey: 'a', batchId: '00000000-0000-4000-8000-000000000001', partitions: 4, encoder: new EventEncoder('TransactionRecorded', 1), original: (w) => w(path), uploadedAtMs: Date.now(), verdictsDirectory: '/tmp/t/prep/v', dryRun: process.argv[3] === 'dry' })
  const d = process.cpuUsage(c)
  console.log(m.buckets, m.receipts.receipts, Math.round(performance.now() - t), 'ms', Math.round((d.user + d.system) / 1000), 'cpu ms')
}
