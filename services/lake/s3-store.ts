import { Bucket } from '../platform/bucket.ts'
import { addressOf, type BucketPlace } from '../platform/bucket-place.ts'
import { type LakeStore, lakeUnavailable } from './store.ts'

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
        const type = path.endsWith('.json') ? 'application/json' : 'application/vnd.apache.parquet'
        await client.putObject(prefix + path, content, type)
      }),
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
