import type { BucketLocation, BucketPlace } from '../platform/bucket-place.ts'
import type { Config } from '../platform/config.ts'
import { missing } from './missing.ts'

/** A location with the endpoint and the keys that the configuration has for it. Errors: `config_missing`. */
export function bucketPlace(config: Config, of: 'lake' | 'upload', { bucket, prefix }: BucketLocation): BucketPlace {
  const variable = `LOYALTY_${of.toUpperCase()}_S3`
  return {
    endpoint: config[`${of}S3Endpoint`] ?? missing(`${variable}_ENDPOINT`),
    region: config[`${of}S3Region`],
    accessKeyId: config[`${of}S3AccessKeyId`] ?? missing(`${variable}_ACCESS_KEY_ID`),
    secretAccessKey: config[`${of}S3SecretAccessKey`] ?? missing(`${variable}_SECRET_ACCESS_KEY`),
    bucket,
    prefix,
  }
}
