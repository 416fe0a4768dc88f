import type avro from 'avsc'
import { parseSchema } from '#schemas/codec.ts'
import type { EventName } from '#schemas/events.ts'
import { schemaText } from '#schemas/published.ts'
import type { RegisteredSchema, Registry, SchemaTexts } from '#schemas/registry.ts'
import { LoyaltyError } from '#streams/core/error.ts'

/** A schema registry in memory, without rules: ids by schema text, from 1. Set `unavailable` to break it. */
export class MemoryRegistry implements Registry, SchemaTexts {
  unavailable = false
  /** Number of times a schema was asked for. */
  asked = 0
  readonly #schemas: string[] = []
  readonly #subjects = new Map<string, number[]>()

  async register(subject: string, schema: string): Promise<number> {
    this.#check()
    const known = this.#schemas.indexOf(schema)
    const id = known < 0 ? this.#schemas.push(schema) : known + 1
    const versions = this.#subjects.get(subject) ?? []
    if (!versions.includes(id)) this.#subjects.set(subject, [...versions, id])
    return id
  }

  async describe(id: number): Promise<RegisteredSchema | null> {
    this.#check()
    const schema = this.#schemas[id - 1]
    const uses = [...this.#subjects].filter(([, ids]) => ids.includes(id))
    const subjects = uses.map(([subject, ids]) => ({ subject, version: ids.indexOf(id) + 1 }))
    return schema === undefined ? null : { id, schema, subjects }
  }

  async schemaById(id: number): Promise<avro.Type | null> {
    this.asked += 1
    this.#check()
    const schema = this.#schemas[id - 1]
    return schema === undefined ? null : parseSchema(schema)
  }

  /** Id of the newest schema of an event. */
  idOf(name: EventName): Promise<number> {
    return this.register(name, schemaText(name))
  }

  #check(): void {
    if (this.unavailable)
      throw new LoyaltyError('registry_unavailable', 'the memory registry is switched off', { retriable: true })
  }
}
