import { resolve } from 'node:path'
import { LoyaltyError } from '#streams/core/error.ts'

/** Where a lake is. */
export type LakeLocation =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 's3'; readonly bucket: string /** Empty, or ends in a slash. */; readonly prefix: string }

/**
 * The location that a text names: `s3://bucket/prefix`, else a directory as it is written; null for `off`.
 *
 * Errors: `lake_location_invalid`.
 */
export function lakeLocation(text: string): LakeLocation | null {
  if (text === 'off') return null
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(text)) return { kind: 'directory', path: text }
  const [, bucket, rest = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,62})(?:\/(.*))?$/.exec(text) ?? []
  if (bucket === undefined)
    throw new LoyaltyError(
      'lake_location_invalid',
      `${text} is no place for a lake: give a directory or s3://bucket/prefix`,
      {
        details: { location: text },
      },
    )
  const prefix = rest.replace(/^\/+|\/+$/g, '')
  return { kind: 's3', bucket, prefix: prefix === '' ? '' : `${prefix}/` }
}

/** The same place, whatever directory a program runs in. */
export function absoluteLake(text: string): string {
  return text === 'off' || text.includes('://') ? text : resolve(text)
}
