import { z } from '@hono/zod-openapi'
import { doorRoute } from '../tills/door-route.ts'
import { clientProfile } from './item.ts'

export const clientEventType = 'com.platform.loyalty.client.profile.changed.v1'

export const postClients = doorRoute({
  path: '/api/v1/clients/import',
  summary: 'Master data of clients',
  noun: 'client',
  item: clientProfile,
  id: { client_id: z.string() },
  eventType: clientEventType,
  note: 'Each item is the whole of what is known of a client and takes the place of what was known before.',
})
