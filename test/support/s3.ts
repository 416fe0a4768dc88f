import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { S3mini } from 's3mini'
import { eventually } from './eventually.ts'
import { pythonWith } from './kafka/foreign-clients.ts'
import { freePort } from './postgres.ts'

const moto = '5.2.5'

export interface RunningS3 {
  /** With the bucket. */
  readonly endpoint: string
  readonly region: string
  readonly bucket: S3mini
  stop(): Promise<void>
}

/**
 * A server that speaks S3 (moto, in Python) with one empty bucket. Some 140 MB from PyPI the first time on a machine.
 * Errors: where it cannot be installed or does not start.
 */
export async function startS3(): Promise<RunningS3> {
  const found = await pythonWith(`moto-${moto}`, [`moto[s3]==${moto}`, 'flask', 'flask-cors'])
  if ('missing' in found) throw new Error(found.missing)
  const port = await freePort()
  const server = spawn(found.python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null) {
      server.kill('SIGKILL')
      await once(server, 'exit')
    }
  }
  try {
    const base = `http://127.0.0.1:${port}`
    await eventually(async () => (await fetch(`${base}/moto-api/`)).ok, { timeoutMs: 60_000, what: 'the S3 server' })
    const [endpoint, region] = [`${base}/loyalty-test`, 'eu-west-1']
    const bucket = new S3mini({ endpoint, region, accessKeyId: 'key', secretAccessKey: 'secret' })
    await bucket.createBucket()
    return { endpoint, region, bucket, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
