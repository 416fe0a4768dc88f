import { resolve } from 'node:path'
import { LoyaltyError } from '#streams/core/error.ts'
import { type BucketLocation, bucketOf } from '../platform/bucket-place.ts'

/** Where a lake is. */
export type LakeLocation =
  | { readonly kind: 'directory'; readonly path: string }
  | ({ readonly kind: 's3' } & BucketLocation)

/**
 * The location that a text names: `s3://bucket/prefix`, else a directory as it is written; null for `off`.
 *
 * Errors: `lake_location_invalid`.
 */
export function lakeLocation(text: string): LakeLocation | null {
  if (text === 'off') return null
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(text)) return { kind: 'directory', path: text }
  const location = bucketOf(text)
  if (location === null)
    throw new LoyaltyError(
      'lake_location_invalid',
      `${text} is no place for a lake: give a directory or s3://bucket/prefix`,
      {
        details: { location: text },
      },
    )
  return { kind: 's3', ...location }
}

/** The same place, whatever directory a program runs in. */
export function absoluteLake(text: string): string {
  return text === 'off' || text.includes('://') ? text : resolve(text)
}
