import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import type { OpenAPIHono, z } from '@hono/zod-openapi'
import { LoyaltyError } from '#streams/core/error.ts'
import { readMultipart } from './multipart.ts'
import { previewFile } from './preview.ts'
import type { KnownProfile } from './profile-book.ts'
import {
  deleteFileProfile,
  getFileProfile,
  type knownProfile,
  listFileProfiles,
  postPreview,
  putFileProfile,
} from './profile-routes.ts'
import { checkedProfile, type ReadingDeps, type ReadingWish } from './reading.ts'

export interface ProfileAppDeps extends ReadingDeps {
  readonly dataDir: string
}

/** Each holds the disk for what its file spills, and the processor in turn with uploads. */
const previewsAtOnce = 2

/** Names of the fields that a form may have beside its file. */
export const formFields = ['profile', 'currency', 'time_zone'] as const

/** What they say of the file. */
export function wishOf(fields: ReadonlyMap<string, string>): ReadingWish {
  const said = (name: (typeof formFields)[number]) => fields.get(name)?.trim() || undefined
  return { profile: said('profile'), currency: said('currency'), timeZone: said('time_zone') }
}

/** Adds the routes of file profiles and previews to an app that answers errors by `profileStatuses`. */
export function addProfileRoutes(app: OpenAPIHono, deps: ProfileAppDeps): void {
  addPreview(app, deps)

  app.openapi(listFileProfiles, async (c) => c.json({ profiles: (await deps.profiles.all()).map(profileOf) }, 200))

  app.openapi(getFileProfile, async (c) => c.json(profileOf(await found(deps, c.req.valid('param').name)), 200))

  app.openapi(putFileProfile, async (c) => {
    const { name } = c.req.valid('param')
    const profile = checkedProfile({ name, ...c.req.valid('json') })
    if (profile.name !== name)
      throw new LoyaltyError('request_invalid', `the profile is named "${profile.name}", the address "${name}"`, {
        details: { faults: ['name: is another one than in the address'] },
      })
    const isNew = await deps.profiles.save(profile)
    const body = profileOf(await deps.profiles.named(name))
    return isNew ? c.json(body, 201) : c.json(body, 200)
  })

  app.openapi(deleteFileProfile, async (c) => {
    await deps.profiles.remove(c.req.valid('param').name)
    return c.body(null, 204)
  })
}

function addPreview(app: OpenAPIHono, deps: ProfileAppDeps): void {
  let underWay = 0
  // Not app.openapi: its validator would read the whole body into memory.
  app.post(postPreview.getRoutingPath(), async (c) => {
    if (underWay >= previewsAtOnce) {
      c.header('retry-after', '10')
      throw new LoyaltyError('too_busy', `${previewsAtOnce} previews are under way; ask again in a moment`)
    }
    underWay++
    // Below `spill`, so that what a killed program leaves is removed at its next start.
    const directory = join(deps.dataDir, 'spill', `preview-${randomUUID()}`)
    const path = join(directory, 'file')
    try {
      const body = c.req.raw.body as ReadableStream | null
      const form = await readMultipart(c.req.header('content-type'), body, formFields, {
        async store(_, content) {
          await mkdir(directory, { recursive: true })
          await pipeline(content, createWriteStream(path))
          return path
        },
        // The directory is removed whatever comes of it.
        async discard() {},
      })
      if (form.file === null)
        throw new LoyaltyError('file_missing', 'the form has no file; send it in a part named "file"')
      const { signal } = c.req.raw
      return c.json(
        await previewFile(deps, path, wishOf(form.fields), { directory: join(directory, 'passes'), signal }),
        200,
      )
    } finally {
      underWay--
      await rm(directory, { recursive: true, force: true })
    }
  })
}

async function found({ profiles }: ProfileAppDeps, name: string): Promise<KnownProfile> {
  const all = await profiles.all()
  const profile = all.find((each) => each.profile.name === name)
  if (profile !== undefined) return profile
  throw new LoyaltyError('profile_not_found', `there is no file profile "${name}"`, { details: { name } })
}

function profileOf({ profile, saved, savedAtMs }: KnownProfile): z.input<typeof knownProfile> {
  return { name: profile.name, saved, saved_at: savedAtMs === null ? null : new Date(savedAtMs).toISOString(), profile }
}
