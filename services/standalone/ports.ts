import { createServer } from 'node:net'
import { LoyaltyError } from '#streams/core/error.ts'

/**
 * The port to serve on: `wanted` where it is free. Where it is taken, an explicit wish is an error and a default gives
 * way to a free port. 0 asks for a free one.
 *
 * Errors: `port_in_use`.
 */
export async function choosePort(wanted: number, explicit: boolean, taken: Set<number>): Promise<number> {
  const port = taken.has(wanted) ? null : await tryPort(wanted)
  if (port === null && explicit && wanted !== 0)
    throw new LoyaltyError('port_in_use', `port ${wanted} is in use; choose another one`, { details: { port: wanted } })
  const chosen = port ?? (await tryPort(0))
  if (chosen === null) throw new LoyaltyError('port_in_use', 'no port is free on 127.0.0.1')
  taken.add(chosen)
  return chosen
}

function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : null))
    })
  })
}
