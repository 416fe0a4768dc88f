import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { startLoyalty } from './support/run-cli.ts'

const profile = {
  name: 'slips',
  system: { name: 'till', identity: ['receipt_number'] },
  grain: 'receipt',
  time_zone: 'Europe/Moscow',
  currency: 'RUB',
  format: { kind: 'csv' },
  columns: { receipt_number: 'receipt', client: 'client', occurred_at: 'date', amount: 'amount' },
  dates: { formats: ['yyyy-MM-dd'] },
}

test('a command that joined the platform of another is served to its end', async () => {
  const dir = await tempDir('loyalty-guests-')
  try {
    const dataDir = join(dir.path, 'data')
    await writeFile(join(dir.path, 'slips.json'), JSON.stringify(profile))
    await writeFile(join(dir.path, 'slips.csv'), 'receipt,client,date,amount\n1,anna,2024-05-01,10.00\n')
    const upload = [
      'ingest',
      join(dir.path, 'slips.csv'),
      '--profile',
      join(dir.path, 'slips.json'),
      '--wait',
      '--json',
    ]
    const host = startLoyalty([...upload, '--data-dir', dataDir])
    // While the first one starts: the second waits for it.
    await eventually(() => existsSync(join(dataDir, 'owner.json')), { timeoutMs: 60_000 })
    const traffic = [
      'generate',
      '--to',
      'http',
      '--events',
      '300',
      '--batch',
      '10',
      '--connections',
      '1',
      '--rate',
      '20',
    ]
    const guest = startLoyalty([...traffic, '--data-dir', dataDir, '--json'])
    const [first, second] = await Promise.all([host.ended, guest.ended])
    expect(second, second.stderr).toMatchObject({ code: 0 })
    expect(first, first.stderr).toMatchObject({ code: 0 })
    expect(second.stderr).toContain('starting or stopping')
    expect(first.stderr).toContain(`another command (process ${guest.child.pid})`)
    expect(existsSync(join(dataDir, 'run.json'))).toBe(false)
  } finally {
    await dir.remove()
  }
}, 120_000)
