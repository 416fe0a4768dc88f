import { createHash } from 'node:crypto'
import { stat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LoyaltyError } from '../core/error.ts'

export interface DirectoryLock {
  release(): Promise<void>
}

/**
 * Makes the caller the only one that works in a directory, until `release` or the end of its process, however that comes:
 * the lock is a local socket, which the kernel takes back with the process. (A file with a process id would have to be
 * guessed about.) It holds among processes of one machine that share a network namespace, and among their threads.
 *
 * Errors: `state_locked` (retriable).
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const { dev, ino } = await stat(directory)
  const id = createHash('sha256').update(`${dev}/${ino}`).digest('hex').slice(0, 24)
  const server = await hold(addressOf(id))
  if (server === null)
    throw new LoyaltyError('state_locked', `the state in ${directory} is open already; close it there first`, {
      retriable: true,
      details: { directory },
    })
  server.unref()
  return { release: () => new Promise((resolve) => server.close(() => resolve())) }
}

/** Linux and Windows have names that vanish with their holder; elsewhere the name is a file that may be left over. */
function addressOf(id: string): string {
  if (process.platform === 'linux') return `\0loyalty-state-${id}`
  if (process.platform === 'win32') return `\\\\.\\pipe\\loyalty-state-${id}`
  return join(tmpdir(), `loyalty-state-${id}.sock`)
}

async function hold(address: string): Promise<Server | null> {
  const server = await listen(address)
  if (server !== null || isVolatile(address) || (await answers(address))) return server
  await unlink(address).catch(() => {})
  return listen(address)
}

function isVolatile(address: string): boolean {
  return address.startsWith('\0') || address.startsWith('\\\\')
}

function listen(address: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null)
      else reject(error)
    })
    server.listen({ path: address, exclusive: true }, () => resolve(server))
  })
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
