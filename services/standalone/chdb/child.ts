/**
 * The process that holds the ClickHouse engine: a crash of native code, or a query that eats the memory, ends this
 * process and not the platform. Started by start.ts with an IPC channel; it ends with its parent.
 *
 * Arguments: data directory, port (0: any), and optionally user and password in one JSON array.
 */
import type { AddressInfo } from 'node:net'
import { messageOf } from '#streams/core/error.ts'
import { lockDirectory } from './directory-lock.ts'
import { openEngine } from './engine.ts'
import { httpFront } from './http-front.ts'

const [dataDir, port, login] = process.argv.slice(2)

async function run(): Promise<void> {
  if (dataDir === undefined || port === undefined) throw new Error('usage: child.ts DATA_DIR PORT [JSON]')
  // A parent that was killed takes its child along within a moment; a restart right after it waits for that.
  const lock = await lockDirectory(dataDir, { waitMs: 10_000 })
  const engine = await openEngine(dataDir)
  const [user, password] = login === undefined ? [] : (JSON.parse(login) as string[])
  const credentials = user === undefined ? null : { user, password: password ?? '' }
  const server = httpFront(engine, credentials)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(Number(port), '127.0.0.1', resolve)
  })
  const stop = async () => {
    server.close()
    server.closeIdleConnections()
    await engine.close()
    await lock.release()
    process.exit(0)
  }
  process.on('message', (message) => {
    if (message === 'stop') void stop()
  })
  process.on('disconnect', () => void stop())
  process.send?.({ ready: true, port: (server.address() as AddressInfo).port, version: engine.version })
}

run().catch((error: unknown) => {
  process.send?.({ ready: false, message: messageOf(error) }, () => process.exit(1))
  if (process.send === undefined) throw error
})
