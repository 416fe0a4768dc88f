import { openPostgresLog } from '#streams/log/postgres/postgres-log.ts'
import { logContract } from '../../../contracts/log-contract.ts'
import { startPostgres } from '../../../support/postgres.ts'

logContract('PostgreSQL', async () => {
  const server = await startPostgres()
  const options = { url: server.url, schema: 'contract log' }
  return {
    open: () => openPostgresLog(options),
    child: {
      module: new URL('../../../../streams/log/postgres/postgres-log.ts', import.meta.url).href,
      open: 'openPostgresLog',
      options,
    },
    close: () => server.stop(),
  }
})
