import { createRoute, z } from '@hono/zod-openapi'
import { clientsTotals, clientVerdict } from './clients/report-schema.ts'
import { failure, rejectedByReason, rowVerdict, success } from './route-parts.ts'

/** Route definitions of file profiles and of previews of files. */

/** HTTP status by error code. */
export const profileStatuses: Readonly<Record<string, number>> = {
  profile_not_found: 404,
  profile_shipped: 409,
  profile_key_differs: 409,
  too_busy: 429,
}

const management = { tags: ['management'] }
/** What a profile may say is described in the page on files; as a schema of this document it would fill pages. */
const profileBody = z.record(z.string(), z.unknown()).describe('a file profile, see docs/files.md')

export const knownProfile = z
  .object({
    name: z.string(),
    saved: z.boolean().describe('false for one that ships with the product'),
    saved_at: z.string().nullable(),
    profile: profileBody,
  })
  .openapi('KnownProfile')

export const preview = z
  .object({
    basis: z
      .enum(['given', 'known', 'variant', 'content'])
      .describe(
        'the profile that was given; a known one; a known one with the own formats of the file; made from the file',
      ),
    known: z.string().nullable().describe('name of the known profile'),
    good_enough: z.boolean().describe('an upload would be read so unasked'),
    confirm: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .readonly()
      .describe('what somebody has to say first'),
    columns: z
      .array(
        z.object({
          index: z.number().int(),
          name: z.string(),
          field: z.string().nullable().describe('null where the column is not read'),
          confidence: z.number().min(0).max(1),
          why: z.string(),
          examples: z.array(z.string()).readonly(),
        }),
      )
      .readonly(),
    profile: profileBody,
    totals: z
      .object({
        lines: z.number().int().describe('rows of the file, without the header'),
        rows: z.object({ accepted: z.number().int(), rejected: z.number().int() }).describe('sums to lines'),
        rejected: rejectedByReason,
        transactions: z.number().int().describe('before the stream has looked for those that it knows'),
        sales: z.number().int(),
        refunds: z.number().int(),
        voids: z.number().int(),
        clients: z.number().int(),
        gross_minor: z.number().int(),
        refunded_minor: z.number().int(),
        currency: z.string(),
        seconds: z.number(),
      })
      .or(clientsTotals)
      .nullable()
      .describe('of the whole file; null where the profile lacks something'),
    verdicts: z
      .array(rowVerdict.or(clientVerdict))
      .readonly()
      .describe('the first 20 by row of what would be rejected or flagged, those on a receipt at its first row'),
    input: z.object({
      container: z.string(),
      encoding: z.string(),
      encoding_by: z.string(),
      delimiter: z.string().nullable(),
    }),
  })
  .openapi('FilePreview')

/** Parts of other names are refused. */
const fileForm = z.strictObject({
  file: z.string().meta({ format: 'binary' }),
  profile: z
    .string()
    .optional()
    .describe('name of a file profile, or one as JSON, also as a file; without it one is proposed'),
  currency: z.string().optional().describe('of the sums, where no profile is given'),
  time_zone: z.string().optional().describe('of the dates, where no profile is given'),
})

/** The body of an upload and of a preview. Described for readers only: it is taken in as a stream and checked by hand. */
export const fileBody = { required: true, content: { 'multipart/form-data': { schema: fileForm } } }

export const postPreview = createRoute({
  ...management,
  method: 'post',
  path: '/api/v1/management/data/preview',
  summary: 'What a file would come to',
  description: 'Reads the whole file as an upload would, publishes nothing and keeps nothing.',
  request: { body: fileBody },
  responses: {
    200: success('the mapping, the first verdicts and the totals', preview),
    400: failure('no file, an unknown profile, or a file that cannot be read'),
    429: failure('as many previews are under way as are taken'),
  },
})

const params = z.object({ name: z.string() })

export const listFileProfiles = createRoute({
  ...management,
  method: 'get',
  path: '/api/v1/management/data/profiles',
  summary: 'File profiles: those that ship and those that were saved',
  responses: { 200: success('all of them', z.object({ profiles: z.array(knownProfile) }).openapi('KnownProfiles')) },
})

export const getFileProfile = createRoute({
  ...management,
  method: 'get',
  path: '/api/v1/management/data/profiles/{name}',
  summary: 'One file profile',
  request: { params },
  responses: { 200: success('the profile', knownProfile), 404: failure('there is no such profile') },
})

export const putFileProfile = createRoute({
  ...management,
  method: 'put',
  path: '/api/v1/management/data/profiles/{name}',
  summary: 'Save a file profile',
  request: { params, body: { required: true, content: { 'application/json': { schema: profileBody } } } },
  responses: {
    200: success('the saved profile, in place of the one before', knownProfile),
    201: success('the saved profile', knownProfile),
    400: failure('the profile has faults'),
    409: failure('the name is that of a profile that ships, or the receipts of its system are identified otherwise'),
  },
})

export const deleteFileProfile = createRoute({
  ...management,
  method: 'delete',
  path: '/api/v1/management/data/profiles/{name}',
  summary: 'Delete a saved file profile',
  description: 'Uploads keep the profile that they were read by.',
  request: { params },
  responses: {
    204: { description: 'it is gone' },
    404: failure('there is no such saved profile'),
    409: failure('the profile ships with the product'),
  },
})

export const profileRoutes = [postPreview, listFileProfiles, getFileProfile, putFileProfile, deleteFileProfile] as const
