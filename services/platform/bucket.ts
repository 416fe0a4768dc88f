import { S3mini } from 's3mini'
import type { LoyaltyError } from '#streams/core/error.ts'
import { asked } from './asked.ts'
import type { BucketKeys } from './bucket-place.ts'
import './fetch.ts'

export interface BucketOptions {
  /** The error that stands for whatever the server says, or that it says nothing. */
  readonly unavailable: (cause: unknown) => LoyaltyError
  /** Keys listed at once; default 1,000. */
  readonly pageKeys?: number
  /** Bytes of the shortest part that the client sends but for the last; default that of the client. */
  readonly minPartBytes?: number
}

/** A listed object. */
export interface BucketObject {
  readonly key: string
  /** Changes with the content. */
  readonly tag: string
}

/** A bucket of an S3-compatible store. Connects on first use. */
export class Bucket {
  readonly unavailable: (cause: unknown) => LoyaltyError
  readonly #client: S3mini
  readonly #pageKeys: number

  /** `address`: with the bucket. */
  constructor(address: string, { region, accessKeyId, secretAccessKey }: BucketKeys, options: BucketOptions) {
    const { unavailable, pageKeys = 1_000, minPartBytes: minPartSize } = options
    const parts = minPartSize === undefined ? {} : { minPartSize }
    this.#client = new S3mini({ endpoint: address, region, accessKeyId, secretAccessKey, ...parts })
    this.#pageKeys = pageKeys
    this.unavailable = unavailable
  }

  /** What `work` has of the client. Errors: `unavailable`, and those with a code that `work` throws. */
  ask<T>(work: (client: S3mini) => Promise<T>): Promise<T> {
    return asked(this.unavailable, () => work(this.#client))
  }

  /** Objects whose keys begin so, in the order of their keys. Errors: `unavailable`. */
  async *objectsBelow(prefix: string): AsyncGenerator<BucketObject> {
    for (let token: string | undefined; ; ) {
      const page = await this.ask((client) => client.listObjectsPaged('/', prefix, this.#pageKeys, token))
      if (page === undefined || page === null) throw this.unavailable(new Error('there is no such bucket'))
      for (const { Key: key, ETag: tag } of page.objects ?? []) yield { key, tag: tag.replaceAll('"', '') }
      token = page.nextContinuationToken
      if (token === undefined) return
    }
  }
}
