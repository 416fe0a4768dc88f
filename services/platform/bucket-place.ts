/** The keys that a bucket is opened with. */
export interface BucketKeys {
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** Objects of a bucket below a prefix. */
export interface BucketLocation {
  readonly bucket: string
  /** Empty, or ends in a slash. */
  readonly prefix: string
}

export interface BucketPlace extends BucketKeys, BucketLocation {
  /** Without the bucket: https://s3.eu-central-1.amazonaws.com */
  readonly endpoint: string
}

/** What `s3://bucket/prefix` names; null where a text is none of that form. */
export function bucketOf(text: string): BucketLocation | null {
  const [, bucket, rest = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,62})(?:\/(.*))?$/.exec(text) ?? []
  if (bucket === undefined) return null
  const prefix = rest.replace(/^\/+|\/+$/g, '')
  return { bucket, prefix: prefix === '' ? '' : `${prefix}/` }
}

/** The address of the bucket itself. */
export function addressOf({ endpoint, bucket }: BucketPlace): string {
  return `${endpoint.replace(/\/+$/, '')}/${bucket}`
}
