import { S3mini, S3ServiceError } from 's3mini'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { LakeStore } from './store.ts'

export interface S3Place {
  /** Without the bucket: https://s3.eu-central-1.amazonaws.com */
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly bucket: string
  /** Empty, or ends in a slash. */
  readonly prefix: string
}

/** A lake in a bucket, below a prefix. An object is whole when it is there. `pageKeys`: keys listed at once. */
export function s3Store(place: S3Place, pageKeys = 1_000): LakeStore {
  const { region, accessKeyId, secretAccessKey, prefix } = place
  const endpoint = `${place.endpoint.replace(/\/+$/, '')}/${place.bucket}`
  const bucket = new S3mini({ endpoint, region, accessKeyId, secretAccessKey })
  const where = `${endpoint}/${prefix}`
  return {
    where,
    put: (path, content) =>
      orUnavailable(where, async () => {
        await bucket.putObject(prefix + path, content, typeOf(path))
      }),
    create: (path, content) =>
      orUnavailable(where, () =>
        isNew(() => bucket.putObject(prefix + path, content, typeOf(path), undefined, onlyNew)),
      ),
    get: (path) =>
      orUnavailable(where, async () => {
        const content = await bucket.getObjectArrayBuffer(prefix + path)
        return content === null ? null : new Uint8Array(content)
      }),
    async *list(below) {
      for (let token: string | undefined; ; ) {
        const page = await orUnavailable(where, () => bucket.listObjectsPaged('/', prefix + below, pageKeys, token))
        if (page === undefined || page === null) throw unavailable(where, new Error('there is no such bucket'))
        for (const { Key: key } of page.objects ?? []) yield key.slice(prefix.length)
        token = page.nextContinuationToken
        if (token === undefined) return
      }
    },
  }
}

function typeOf(path: string): string {
  return path.endsWith('.json') ? 'application/json' : 'application/vnd.apache.parquet'
}

/** A storage that does not know it writes in the place of what is there. */
const onlyNew: Record<string, string> = { 'if-none-match': '*' }

/** False where the condition does not hold. */
async function isNew(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (error instanceof S3ServiceError && error.status === 412) return false
    throw error
  }
}

async function orUnavailable<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw unavailable(where, cause)
  }
}

function unavailable(where: string, cause: unknown): LoyaltyError {
  return new LoyaltyError('lake_unavailable', `the lake ${where}: ${messageOf(cause)}`, { retriable: true, cause })
}
