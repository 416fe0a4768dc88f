import type { RegisteredSchema, SchemaTexts } from '#schemas/registry.ts'
import { hasCode } from '#streams/core/error.ts'
import { writeSchema } from './manifest.ts'
import type { LakeStore } from './store.ts'

/** Puts the schemas by which values are read into the lake: another registry gives them other ids. */
export class SchemaKeeper {
  readonly #schemas: SchemaTexts
  readonly #store: LakeStore
  readonly #kept = new Set<number>()

  constructor(schemas: SchemaTexts, store: LakeStore) {
    this.#schemas = schemas
    this.#store = store
  }

  /** Which of the ids are kept now, and which the registry does not know. Errors: those of registry and store. */
  async keep(ids: ReadonlySet<number>): Promise<{ readonly known: number[]; readonly unknown: number[] }> {
    const known: number[] = []
    const unknown: number[] = []
    for (const id of [...ids].sort((a, b) => a - b))
      if (await this.#keepOne(id)) known.push(id)
      else unknown.push(id)
    return { known, unknown }
  }

  async #keepOne(id: number): Promise<boolean> {
    if (this.#kept.has(id)) return true
    const schema = await this.#described(id)
    if (schema === null) return false
    await writeSchema(this.#store, schema)
    this.#kept.add(id)
    return true
  }

  /** Null also for a schema that is there and of no use: nothing could be read with it before, either. */
  async #described(id: number): Promise<RegisteredSchema | null> {
    try {
      return await this.#schemas.describe(id)
    } catch (error) {
      if (hasCode(error, 'registry_schema_unusable')) return null
      throw error
    }
  }
}
