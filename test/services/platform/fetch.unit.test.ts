import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { promisify } from 'node:util'
import { afterEach, expect, it } from 'vitest'

const root = new URL('../../../', import.meta.url)
const bytes = 64 * 1024

let server: Server | undefined
afterEach(() => server?.close())

/** A server that sends a whole answer and leaves. */
function leavingServer(): Promise<number> {
  server = createServer((socket) => {
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\nconnection: close\r\n\r\n`)
      socket.end(Buffer.alloc(bytes))
    })
  })
  return new Promise((resolve) => {
    server!.listen(0, '127.0.0.1', () => resolve((server!.address() as { port: number }).port))
  })
}

it('a server that leaves while its answer is not read yet ends no program, and nothing of the answer is lost', async () => {
  const port = await leavingServer()
  // The connection is gone for good once its end has reached the program.
  const script = `
    import ${JSON.stringify(new URL('services/platform/fetch.ts', root).href)}
    const answer = await fetch('http://127.0.0.1:${port}/')
    await new Promise((resolve) => setTimeout(resolve, 200))
    console.log((await answer.arrayBuffer()).byteLength)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  expect(stdout.trim()).toBe(String(bytes))
})
