import type avro from 'avsc'
import { parseSchema } from '#schemas/codec.ts'
import type { EventName } from '#schemas/events.ts'
import { schemaText } from '#schemas/published.ts'
import type { Registry } from '#schemas/registry.ts'
import { LoyaltyError } from '#streams/core/error.ts'

/** A schema registry in memory, without rules: ids by schema text, from 1. Set `unavailable` to break it. */
export class MemoryRegistry implements Registry {
  unavailable = false
  /** Number of times a schema was asked for. */
  asked = 0
  readonly #schemas: string[] = []

  async register(_subject: string, schema: string): Promise<number> {
    this.#check()
    const known = this.#schemas.indexOf(schema)
    return known < 0 ? this.#schemas.push(schema) : known + 1
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
