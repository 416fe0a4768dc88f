import type avro from 'avsc'
import { parseSchema } from '#schemas/codec.ts'
import type { Registry } from '#schemas/registry.ts'
import { LoyaltyError } from '#streams/core/error.ts'

/** A schema registry in memory: no rules, but ids, and a switch that makes it unreachable. */
export class MemoryRegistry implements Registry {
  readonly #schemas: { text: string; type: avro.Type }[] = []
  reachable = true

  async register(_subject: string, schema: string): Promise<number> {
    this.#assertReachable()
    const known = this.#schemas.findIndex(({ text }) => text === schema)
    if (known >= 0) return known + 1
    return this.#schemas.push({ text: schema, type: parseSchema(schema) })
  }

  async schemaById(id: number): Promise<avro.Type | null> {
    this.#assertReachable()
    return this.#schemas[id - 1]?.type ?? null
  }

  #assertReachable(): void {
    if (!this.reachable)
      throw new LoyaltyError('registry_unavailable', 'the registry is switched off', { retriable: true })
  }
}
