import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { failure, success } from '../route-parts.ts'
import type { Sources, SourceView } from './runner.ts'

const source = z
  .object({
    name: z.string(),
    kind: z.enum(['folder', 's3', 'postgres']),
    schedule: z.string().describe('cron'),
    next_run: z.iso.datetime().nullable(),
    last_run: z.iso.datetime().nullable(),
    watermark: z.string().nullable().describe('how far a query has been read'),
    error: z.object({ code: z.string(), message: z.string() }).nullable().describe('of the last run'),
    open_files: z.array(z.string()).describe('taken, and not yet moved to processed or failed'),
  })
  .openapi('Source')

const management = { tags: ['management'] }

export const listSources = createRoute({
  ...management,
  method: 'get',
  path: '/api/v1/management/data/sources',
  summary: 'Sources that are looked through by a schedule',
  responses: { 200: success('all of them', z.object({ sources: z.array(source) }).openapi('Sources')) },
})

export const runSource = createRoute({
  ...management,
  method: 'post',
  path: '/api/v1/management/data/sources/{name}/run',
  summary: 'Look through a source now',
  request: { params: z.object({ name: z.string() }) },
  responses: {
    200: success(
      'what was found',
      z
        .object({
          taken: z.array(z.string()).describe('files that became uploads'),
          refused: z.array(z.string()).describe('files that did not; failed/ has them, and why'),
        })
        .openapi('SourceRun'),
    ),
    404: failure('there is no such source'),
    503: failure('the source or a store does not answer, or another program looks through it'),
  },
})

export const sourceRoutes = [listSources, runSource] as const

export function addSourceRoutes(app: OpenAPIHono, sources: Sources): void {
  app.openapi(listSources, async (c) => c.json({ sources: (await sources.list()).map(shown) }, 200))
  app.openapi(runSource, async (c) => {
    const { taken, refused } = await sources.run(c.req.valid('param').name)
    return c.json({ taken: [...taken], refused: [...refused] }, 200)
  })
}

function shown(view: SourceView): z.input<typeof source> {
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
  return {
    name: view.name,
    kind: view.kind,
    schedule: view.schedule,
    next_run: iso(view.nextRunMs),
    last_run: iso(view.lastRunMs),
    watermark: view.watermark,
    error: view.error,
    open_files: [...view.openFiles],
  }
}
