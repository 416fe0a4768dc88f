import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { S3mini } from 's3mini'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { patternOf, type S3Config } from './config.ts'
import { errorText } from './folder.ts'
import type { Offer, Source } from './source.ts'

/**
 * Objects of a bucket below a prefix. An object is whole when it is there; when it has been taken in it is moved below
 * `<prefix>processed/`, or `<prefix>failed/`, there with an object beside it that says why. `pageKeys`: keys listed at once.
 */
export function s3Source(config: S3Config, pageKeys = 1_000): Source {
  const bucket = new S3mini({
    endpoint: config.endpoint,
    region: config.region,
    accessKeyId: config.access_key_id,
    secretAccessKey: config.secret_access_key,
  })
  return {
    offers: () => offersOf(config, bucket, pageKeys),
    putAway: (fileName, version, fate) =>
      orUnavailable(config, async () => {
        const key = config.prefix + fileName
        if (!(await bucket.objectExists(key)) || (await bucket.getEtag(key)) !== version) return
        const target = `${config.prefix}${fate.kind}/${fileName}`
        // First the reason: what lies below `failed` has one.
        if (fate.kind === 'failed') await bucket.putObject(`${target}.error.json`, errorText(fate), 'application/json')
        await bucket.moveObject(key, target)
      }),
    close: async () => {},
  }
}

async function* offersOf(config: S3Config, bucket: S3mini, pageKeys: number): AsyncGenerator<Offer> {
  const { prefix, files } = config
  for (let token: string | undefined; ; ) {
    const page = await orUnavailable(config, () => bucket.listObjectsPaged('/', prefix, pageKeys, token))
    if (page === undefined || page === null) throw unavailable(config, new Error('there is no such bucket'))
    for (const { Key: key, ETag: tag } of page.objects ?? []) {
      const fileName = key.slice(prefix.length)
      const pattern = patternOf(files, fileName)
      if (pattern === null) continue
      const version = tag.replaceAll('"', '')
      yield {
        fileName,
        version,
        profile: pattern.profile ?? null,
        open: () => openObject(config, bucket, key, version),
      }
    }
    token = page.nextContinuationToken
    if (token === undefined) return
  }
}

async function openObject(config: S3Config, bucket: S3mini, key: string, version: string) {
  const response = await orUnavailable(config, () => bucket.getObjectResponse(key))
  if (response === null || response.body === null) throw unavailable(config, new Error(`${key} is gone`))
  // One answer is one version of the object, whatever is written meanwhile.
  const state = response.headers.get('etag')?.replaceAll('"', '') === version ? 'whole' : 'changed'
  return {
    content: Readable.fromWeb(response.body as ReadableStream),
    finish: async () => ({ state, watermark: null }) as const,
  }
}

async function orUnavailable<T>(config: S3Config, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw unavailable(config, cause)
  }
}

function unavailable({ name, endpoint }: S3Config, cause: unknown): LoyaltyError {
  return new LoyaltyError('source_unavailable', `the bucket ${endpoint} of source ${name}: ${messageOf(cause)}`, {
    retriable: true,
    details: { source: name },
    cause,
  })
}
