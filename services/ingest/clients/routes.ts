import { createRoute, z } from '@hono/zod-openapi'
import { doorAnswer, failure, itemResult, success } from '../route-parts.ts'
import { eventSchema } from '../tills/cloud-events.ts'
import { clientProfile } from './item.ts'

export const clientEventType = 'com.platform.loyalty.client.profile.changed.v1'

const clientsAnswer = doorAnswer('clients', itemResult({ client_id: z.string() }).openapi('ClientResult')).openapi(
  'ClientsAnswer',
)

const clientEvent = eventSchema(clientEventType).extend({ data: clientProfile }).openapi('ClientCloudEvent')

export const postClients = createRoute({
  method: 'post',
  path: '/api/v1/clients/import',
  tags: ['tills'],
  summary: 'Master data of clients',
  description:
    'One client, an array of up to 1,000, NDJSON, or CloudEvents 1.0; plain, gzip or zstd. Each item is the whole of what is ' +
    'known of a client and takes the place of what was known before. 202 once the log has what was accepted.',
  // Described for readers only: the body is taken in as a stream and each item is checked for itself.
  request: {
    headers: z.object({
      'loyalty-system': z.string().optional().describe('system that the data is of; default pos'),
      'content-encoding': z.enum(['gzip', 'zstd']).optional(),
    }),
    body: {
      required: true,
      content: {
        'application/json': { schema: z.union([clientProfile, z.array(clientProfile).min(1).max(1_000)]) },
        'application/cloudevents+json': { schema: clientEvent },
        'application/cloudevents-batch+json': { schema: z.array(clientEvent).min(1).max(1_000) },
        'application/x-ndjson': { schema: z.string().describe('one client a line') },
      },
    },
  },
  responses: {
    202: success('at least one client is accepted', clientsAnswer),
    400: failure('nothing was accepted: details.results says why, or the body cannot be read'),
    408: failure('the body did not come in time'),
    409: failure('the programme is not configured yet'),
    413: failure('the body is too large, or has too many clients'),
    415: failure('another content type or encoding'),
    429: failure('more is under way than can be held: wait for Retry-After seconds'),
    503: failure('the log or the registry does not answer; some may have been written, sending all again is safe'),
  },
})
