import { parseArgs } from 'node:util'
import { messageOf } from '#streams/core/error.ts'
import { tempDir } from '../support/temp-dir.ts'
import { httpLoad } from './http-load.ts'

const help = `node test/load/http-kills.ts [options]

Transactions through POST /api/v1/transactions of a whole platform on this machine (PostgreSQL log), with programs killed
meanwhile; then every 202 must be in the states exactly once. Prints one JSON object; exit code 1 where it is not so.

  --transactions N   1000000
  --clients N        100000
  --batch N          500 transactions a request
  --connections N    4 requests under way at once
  --kills N          20, by SIGKILL, of ingest, processor and projector
  --no-kills         measure the rate
  --duplicates S     0.01
  --seed N           1
`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      transactions: { type: 'string', default: '1000000' },
      clients: { type: 'string', default: '100000' },
      batch: { type: 'string', default: '500' },
      connections: { type: 'string', default: '4' },
      kills: { type: 'string', default: '20' },
      'no-kills': { type: 'boolean', default: false },
      duplicates: { type: 'string', default: '0.01' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return void process.stdout.write(help)
  const dir = await tempDir('loyalty-load-')
  try {
    const report = await httpLoad({
      transactions: Number(values.transactions),
      clients: Number(values.clients),
      batch: Number(values.batch),
      connections: Number(values.connections),
      kills: values['no-kills'] ? 0 : Number(values.kills),
      duplicateShare: Number(values.duplicates),
      seed: Number(values.seed),
      dataDir: dir.path,
      say: (text) => process.stderr.write(`${text}\n`),
    })
    process.stdout.write(`${JSON.stringify(report)}\n`)
  } finally {
    await dir.remove()
  }
}

await main().catch((error) => {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exitCode = 1
})
