import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { z } from 'zod'
import type { StreamStatus, StreamTask } from './ports.ts'

/** What the processor's `/status` says, as far as it concerns ingestion. */
const answer = z.object({
  tasks: z.array(
    z.object({
      partition: z.number().int(),
      state: z.string(),
      fault: z.object({ code: z.string(), message: z.string() }).nullish(),
    }),
  ),
})

/** Every address of a host name. */
export type Resolve = (name: string) => Promise<readonly { readonly address: string; readonly family: number }[]>

const timeoutMs = 2_000

/**
 * Asks the stream processors behind a URL. Several instances may share one host name (as with `docker-compose up --scale`
 * and behind a headless service): each address of the name is asked, and the answers are put together.
 */
export function processorStatus(url: string, resolve: Resolve = (name) => lookup(name, { all: true })): StreamStatus {
  return {
    async tasks(signal) {
      const instances = await instancesOf(url, resolve)
      const answers = await Promise.allSettled(instances.map((instance) => ask(instance, signal)))
      const told = answers.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value)
      return told.length === 0 ? null : told.flat()
    },
  }
}

async function ask(instance: string, signal: AbortSignal): Promise<StreamTask[]> {
  const response = await fetch(`${instance}/status`, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  })
  const { tasks } = answer.parse(await response.json())
  return tasks.map(({ partition, state, fault }) => ({ partition, state, fault: fault ?? null }))
}

/** By TLS the name is what the certificate vouches for, so it alone is asked. */
async function instancesOf(url: string, resolve: Resolve): Promise<string[]> {
  const { protocol, hostname, origin, port } = new URL(url)
  if (protocol !== 'http:' || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return [origin]
  const found = await resolve(hostname).catch(() => [])
  return found.map(({ address, family }) => `http://${family === 6 ? `[${address}]` : address}:${port || 80}`)
}
