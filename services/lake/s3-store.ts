import { S3ServiceError } from 's3mini'
import { Bucket } from '../platform/bucket.ts'
import { addressOf, type BucketPlace } from '../platform/bucket-place.ts'
import { isNew, type LakeStore, lakeUnavailable } from './store.ts'

/** A lake in a bucket, below a prefix. An object is whole when it is there. `pageKeys`: keys listed at once. */
export function s3Store(place: BucketPlace, pageKeys = 1_000): LakeStore {
  const { prefix } = place
  const address = addressOf(place)
  const where = `${address}/${prefix}`
  const bucket = new Bucket(address, place, { unavailable: (cause) => lakeUnavailable(where, cause), pageKeys })
  return {
    where,
    put: (path, content) =>
      bucket.ask(async (client) => {
        await client.putObject(prefix + path, content, typeOf(path))
      }),
    create: (path, content) =>
      bucket.ask((client) =>
        isNew(() => client.putObject(prefix + path, content, typeOf(path), undefined, onlyNew), isThere),
      ),
    get: (path) =>
      bucket.ask(async (client) => {
        const content = await client.getObjectArrayBuffer(prefix + path)
        return content === null ? null : new Uint8Array(content)
      }),
    async *list(below) {
      for await (const { key } of bucket.objectsBelow(prefix + below)) yield key.slice(prefix.length)
    },
  }
}

function typeOf(path: string): string {
  return path.endsWith('.json') ? 'application/json' : 'application/vnd.apache.parquet'
}

/** A storage that does not know it writes in the place of what is there. */
const onlyNew: Record<string, string> = { 'if-none-match': '*' }

/** The condition did not hold. */
function isThere(error: unknown): boolean {
  return error instanceof S3ServiceError && error.status === 412
}
