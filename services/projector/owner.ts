import type { Pool, PoolClient } from 'pg'

export interface OwnerLock {
  /** True once the connection that holds the lock is gone: somebody else may own the projection. */
  readonly lost: boolean
  release(): Promise<void>
}

const retryMs = 250

/**
 * Waits until this process is the one that runs a projection: an advisory lock, which falls with its connection. Null when
 * `signal` ended the wait. Errors: those of the driver, when Postgres cannot be reached.
 */
export async function becomeOwner(pool: Pool, projection: string, signal: AbortSignal): Promise<OwnerLock | null> {
  const client = await pool.connect()
  let lost = false
  const onError = () => {
    lost = true
  }
  client.on('error', onError)
  const leave = (error?: Error) => {
    client.removeListener('error', onError)
    client.release(error ?? lost)
  }
  try {
    while (!(await tryLock(client, projection))) {
      await new Promise((resolve) => setTimeout(resolve, retryMs))
      if (signal.aborted) {
        leave()
        return null
      }
    }
  } catch (error) {
    leave(error as Error)
    throw error
  }
  return {
    get lost() {
      return lost
    },
    async release() {
      if (!lost) await client.query('SELECT pg_advisory_unlock_all()').catch(onError)
      leave()
    },
  }
}

async function tryLock(client: PoolClient, projection: string): Promise<boolean> {
  const tried = await client.query<{ mine: boolean }>('SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS mine', [
    `projection ${projection}`,
  ])
  return tried.rows[0]?.mine === true
}
