import type { Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { hasCode, LoyaltyError, messageOf } from '#streams/core/error.ts'
import { type RegistryFault, registryFault, registryFaults } from './faults.ts'
import { globalConfig } from './schema-index.ts'
import type { SchemaLog } from './schema-log.ts'

const contentType = 'application/vnd.schemaregistry.v1+json'

/** A schema travels in one record of the log, whose limit is 1 MiB. */
const largestBody = 900 * 1024

/** Confluent's code for a store that does not answer. */
const storeError = 50001

/**
 * The routes that Confluent's REST interface calls subjects, schemas, config and compatibility, as far as serializers use
 * them: no deletion, no references, Avro only. Errors have Confluent's body, `{error_code, message}`.
 */
export function addRegistryRoutes(app: Hono, schemas: SchemaLog): void {
  const { index } = schemas
  app.use('*', bodyLimit({ maxSize: largestBody }))
  app.onError((error, c) => refuse(c, error))
  app.notFound((c) => answer(c, { error_code: 404, message: 'HTTP 404 Not Found' }, 404))

  app.get('/', (c) => answer(c, {}))
  app.get('/schemas/types', (c) => answer(c, ['AVRO']))
  app.get('/mode', (c) => answer(c, { mode: 'READWRITE' }))
  app.get('/subjects', async (c) => {
    await schemas.catchUp()
    return answer(c, index.subjects())
  })

  app.get('/subjects/:subject/versions', async (c) => {
    const subject = c.req.param('subject')
    return answer(c, await found(schemas, () => index.versions(subject).map(({ version }) => version)))
  })
  app.get('/subjects/:subject/versions/:version', async (c) => {
    const { subject, version } = c.req.param()
    return answer(c, await newest(schemas, version, () => index.version(subject, version)))
  })
  app.get('/subjects/:subject/versions/:version/schema', async (c) => {
    const { subject, version } = c.req.param()
    const { schema } = await newest(schemas, version, () => index.version(subject, version))
    return c.body(schema, 200, { 'content-type': contentType })
  })
  app.post('/subjects/:subject/versions', async (c) => {
    const subject = c.req.param('subject')
    const schema = await schemaOf(c)
    // What is registered stays so: programs that start again need no write, and no log that takes one.
    if (index.registration(subject, schema) !== null)
      await schemas.change((current) => current.registration(subject, schema))
    return answer(c, { id: index.lookUp(subject, schema).id })
  })
  app.post('/subjects/:subject', async (c) => {
    const subject = c.req.param('subject')
    const schema = await schemaOf(c)
    return answer(c, await found(schemas, () => index.lookUp(subject, schema)))
  })

  app.get('/schemas/ids/:id', async (c) => {
    const { schema } = await found(schemas, () => index.byId(idOf(c)))
    return answer(c, { schema })
  })
  app.get('/schemas/ids/:id/schema', async (c) => {
    const { schema } = await found(schemas, () => index.byId(idOf(c)))
    return c.body(schema, 200, { 'content-type': contentType })
  })
  app.get('/schemas/ids/:id/versions', async (c) => {
    await schemas.catchUp()
    index.byId(idOf(c))
    return answer(
      c,
      index.usesOf(idOf(c)).map(({ subject, version }) => ({ subject, version })),
    )
  })

  addConfigRoutes(app, schemas)
  addCompatibilityRoutes(app, schemas)
}

function addConfigRoutes(app: Hono, schemas: SchemaLog): void {
  const { index } = schemas
  app.get('/config', async (c) => {
    await schemas.catchUp()
    return answer(c, { compatibilityLevel: index.level(globalConfig) })
  })
  app.get('/config/:subject', async (c) => {
    await schemas.catchUp()
    const subject = c.req.param('subject')
    const level = c.req.query('defaultToGlobal') === 'true' ? index.level(subject) : index.ownLevel(subject)
    if (level === null)
      throw registryFault(
        'registry_config_missing',
        `Subject '${subject}' does not have subject-level compatibility configured`,
      )
    return answer(c, { compatibilityLevel: level })
  })
  const setLevel = async (c: Context, subject: string) => {
    const { compatibility } = await jsonOf(c)
    await schemas.change((current) => current.levelEntry(subject, compatibility))
    return answer(c, { compatibility })
  }
  app.put('/config', (c) => setLevel(c, globalConfig))
  app.put('/config/:subject', (c) => setLevel(c, c.req.param('subject')))
}

function addCompatibilityRoutes(app: Hono, schemas: SchemaLog): void {
  const { index } = schemas
  const report = (c: Context, faults: readonly string[]) =>
    answer(c, {
      is_compatible: faults.length === 0,
      ...(c.req.query('verbose') === 'true' ? { messages: faults } : {}),
    })
  app.post('/compatibility/subjects/:subject/versions', async (c) => {
    const subject = c.req.param('subject')
    const schema = await schemaOf(c)
    await schemas.catchUp()
    const versions = index.subjects().includes(subject) ? index.versions(subject) : []
    return report(c, index.faults(subject, schema, versions))
  })
  app.post('/compatibility/subjects/:subject/versions/:version', async (c) => {
    const { subject, version } = c.req.param()
    const schema = await schemaOf(c)
    const against = await newest(schemas, version, () => index.version(subject, version))
    return report(c, index.faults(subject, schema, [against]))
  })
}

const missing: readonly RegistryFault[] = [
  'registry_subject_missing',
  'registry_version_missing',
  'registry_schema_missing',
]

/** What is not there is looked for again when all that is committed was read: a 404 is believed for good by others. */
async function found<T>(schemas: SchemaLog, look: () => T): Promise<T> {
  try {
    return look()
  } catch (error) {
    if (!hasCode(error, ...missing)) throw error
    await schemas.catchUp()
    return look()
  }
}

/** As `found`; which version is the latest is only known at the end of the log. */
async function newest<T>(schemas: SchemaLog, version: string, look: () => T): Promise<T> {
  if (version === 'latest' || version === '-1') await schemas.catchUp()
  return found(schemas, look)
}

function idOf(c: Context): number {
  const text = c.req.param('id') ?? ''
  if (!/^\d{1,10}$/.test(text)) throw registryFault('registry_schema_missing', `Schema ${text} not found`)
  return Number(text)
}

async function schemaOf(c: Context): Promise<string> {
  const { schema, schemaType, references } = await jsonOf(c)
  if (schemaType !== undefined && schemaType !== null && schemaType !== 'AVRO')
    throw registryFault(
      'registry_schema_invalid',
      `Invalid schema type ${String(schemaType)}: this registry keeps AVRO`,
    )
  if (Array.isArray(references) && references.length > 0)
    throw registryFault('registry_schema_invalid', 'Schema references are not supported: put the types into one schema')
  if (typeof schema !== 'string' || schema === '') throw registryFault('registry_schema_invalid', 'Empty schema')
  return schema
}

async function jsonOf(c: Context): Promise<Record<string, unknown>> {
  const text = await c.req.text()
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>
  } catch {
    // Said below, as for every body that is no object.
  }
  throw registryFault('registry_request_invalid', 'the body is no JSON object')
}

function answer(c: Context, body: unknown, status: ContentfulStatusCode = 200): Response {
  return c.body(JSON.stringify(body), status, { 'content-type': contentType })
}

function refuse(c: Context, error: unknown): Response {
  const code = error instanceof LoyaltyError ? error.code : ''
  if (code in registryFaults) {
    const { status, errorCode } = registryFaults[code as RegistryFault]
    return answer(c, { error_code: errorCode, message: messageOf(error) }, status)
  }
  // Whatever else went wrong, the schema was neither found nor proved missing: clients may try again.
  return answer(c, { error_code: storeError, message: `Error in the backend data store: ${messageOf(error)}` }, 500)
}
