import { schemaIdOf, writeFrame } from '#schemas/codec.ts'
import { type Registry, registerAll } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import { hasCode } from '#streams/core/error.ts'
import { readSchema, type SchemaFacts } from './manifest.ts'
import { broken, type LakeStore } from './store.ts'

/** No registry gives this id: what nobody could read must not be read by a schema that happens to have its id now. */
const neverGiven = 0x7fffffff

/** Ids of the lake's schemas in another registry. */
export class Reframing {
  readonly #registry: Registry
  readonly #ids: ReadonlyMap<number, number>
  readonly #unknown = new Map<number, number>()

  private constructor(registry: Registry, ids: ReadonlyMap<number, number>) {
    this.#registry = registry
    this.#ids = ids
  }

  /**
   * Registers the schemas of the lake, each under the subjects that it had, in the order of their versions, and those of
   * this version of the product. `prefixes`: of the topics in the lake, and here. Errors: `lake_broken`, those of registry
   * and store.
   */
  static async open(
    deps: { readonly store: LakeStore; readonly registry: Registry; readonly topics: Topics },
    schemaIds: ReadonlySet<number>,
    prefixes: { readonly lake: string; readonly here: string },
  ): Promise<Reframing> {
    const { store, registry, topics } = deps
    const ids = new Map<number, number>()
    const wanted: { schema: SchemaFacts; subject: string; version: number }[] = []
    for (const id of schemaIds) {
      const schema = await readSchema(store, id)
      if (schema === null) throw broken(store, `schema ${id} is missing`)
      const own = { subject: `${prefixes.here}.lake-schema-${id}`, version: 1 }
      for (const { subject, version } of schema.subjects.length === 0 ? [own] : schema.subjects)
        wanted.push({ schema, subject: renamed(subject, prefixes), version })
    }
    wanted.sort((a, b) => (a.subject === b.subject ? a.version - b.version : a.subject < b.subject ? -1 : 1))
    for (const { schema, subject } of wanted)
      ids.set(schema.id, await registered(registry, subject, schema, `${prefixes.here}.lake-schema-${schema.id}`))
    await registerAll(registry, topics)
    return new Reframing(registry, ids)
  }

  /**
   * The value with the id that its schema has here. What was `unreadable` for want of a schema stays so. Shares the bytes
   * where nothing changes. Errors: those of the registry.
   */
  async value(value: Uint8Array | null, unreadable: boolean): Promise<Uint8Array | null> {
    const id = value === null ? null : schemaIdOf(value)
    if (value === null || id === null) return value
    const known = unreadable ? undefined : this.#ids.get(id)
    const here = known ?? (await this.#unknownHere(id))
    if (here === id) return value
    const copy = Uint8Array.from(value)
    writeFrame(copy, 0, here)
    return copy
  }

  /** An id that stands for nothing here: its own, unless this registry has given that out. */
  async #unknownHere(id: number): Promise<number> {
    const found = this.#unknown.get(id)
    if (found !== undefined) return found
    const taken = (await this.#registry.schemaById(id)) !== null
    this.#unknown.set(id, taken ? neverGiven : id)
    return taken ? neverGiven : id
  }
}

/** Where the subject's rule refuses a schema that it took before, under a subject of its own: values must be readable. */
async function registered(registry: Registry, subject: string, { schema }: SchemaFacts, own: string): Promise<number> {
  try {
    return await registry.register(subject, schema)
  } catch (error) {
    if (!hasCode(error, 'registry_incompatible')) throw error
    return registry.register(own, schema)
  }
}

function renamed(subject: string, prefixes: { lake: string; here: string }): string {
  return subject.startsWith(`${prefixes.lake}.`) ? prefixes.here + subject.slice(prefixes.lake.length) : subject
}
