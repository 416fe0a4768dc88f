import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeImportMark } from '#services/standalone/import-mark.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { cleanEnvironment } from '../cli/support/run-cli.ts'

const main = join(import.meta.dirname, '../../../services/ingest/main.ts')

test('ingestion does not begin a programme in a log that an import has filled in part', async () => {
  const dir = await tempDir('loyalty-ingest-')
  try {
    writeImportMark(dir.path, { lake: 's3://raw/lake' })
    const nowhere = { LOYALTY_POSTGRES_URL: 'postgres://127.0.0.1:1/none', LOYALTY_REGISTRY_URL: 'http://127.0.0.1:1' }
    const env = cleanEnvironment({ ...nowhere, LOYALTY_DATA_DIR: dir.path, LOYALTY_INGEST_PORT: '0' })
    const { status, stdout, stderr } = spawnSync(process.execPath, [main], { env, encoding: 'utf8', timeout: 50_000 })
    expect(status).toBe(1)
    expect(stdout + stderr).toContain('import_unfinished')
  } finally {
    await dir.remove()
  }
})
