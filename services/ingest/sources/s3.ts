import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { Bucket } from '../../platform/bucket.ts'
import { patternOf, type S3Config } from './config.ts'
import { errorText } from './folder.ts'
import type { Offer, Source } from './source.ts'

/**
 * Objects of a bucket below a prefix. An object is whole when it is there; when it has been taken in it is moved below
 * `<prefix>processed/`, or `<prefix>failed/`, there with an object beside it that says why. `pageKeys`: keys listed at once.
 */
export function s3Source(config: S3Config, pageKeys = 1_000): Source {
  const { endpoint, region, access_key_id: accessKeyId, secret_access_key: secretAccessKey } = config
  const bucket = new Bucket(
    endpoint,
    { region, accessKeyId, secretAccessKey },
    { unavailable: (cause) => unavailable(config, cause), pageKeys },
  )
  return {
    offers: () => offersOf(config, bucket),
    putAway: (fileName, version, fate) =>
      bucket.ask(async (client) => {
        const key = config.prefix + fileName
        if (!(await client.objectExists(key)) || (await client.getEtag(key)) !== version) return
        const target = `${config.prefix}${fate.kind}/${fileName}`
        // First the reason: what lies below `failed` has one.
        if (fate.kind === 'failed') await client.putObject(`${target}.error.json`, errorText(fate), 'application/json')
        await client.moveObject(key, target)
      }),
    close: async () => {},
  }
}

async function* offersOf({ prefix, files }: S3Config, bucket: Bucket): AsyncGenerator<Offer> {
  for await (const { key, tag: version } of bucket.objectsBelow(prefix)) {
    const fileName = key.slice(prefix.length)
    const pattern = patternOf(files, fileName)
    if (pattern === null) continue
    yield { fileName, version, profile: pattern.profile ?? null, open: () => openObject(bucket, key, version) }
  }
}

async function openObject(bucket: Bucket, key: string, version: string) {
  const response = await bucket.ask((client) => client.getObjectResponse(key))
  if (response === null || response.body === null) throw bucket.unavailable(new Error(`${key} is gone`))
  // One answer is one version of the object, whatever is written meanwhile.
  const state = response.headers.get('etag')?.replaceAll('"', '') === version ? 'whole' : 'changed'
  return {
    content: Readable.fromWeb(response.body as ReadableStream),
    finish: async () => ({ state, watermark: null }) as const,
  }
}

function unavailable({ name, endpoint }: S3Config, cause: unknown): LoyaltyError {
  return new LoyaltyError('source_unavailable', `the bucket ${endpoint} of source ${name}: ${messageOf(cause)}`, {
    retriable: true,
    details: { source: name },
    cause,
  })
}
