import { decoderOf } from '#schemas/decoder.ts'
import type { EventName, Events } from '#schemas/events.ts'
import type { Registry } from '#schemas/registry.ts'
import { RefusedItem } from './rejection.ts'

/**
 * Reads items that are written as events of the platform: Avro of any version that its registry knows, with the id of the
 * schema in front. `filled`: the fields that a door fills in. What cannot be read is a refused item. Errors of the reader:
 * `registry_unavailable`.
 */
export function avroItems<Name extends EventName>(
  registry: Registry,
  name: Name,
  filled: readonly (keyof Events[Name] & string)[],
): (value: Uint8Array) => Promise<unknown> {
  const decoder = decoderOf(registry, name)
  return async (value) => {
    const decoded = await decoder.read(value)
    switch (decoded.kind) {
      case 'ok': {
        const item: Record<string, unknown> = { ...(decoded.event as object) }
        for (const field of filled) delete item[field]
        return item
      }
      case 'unknown_schema':
        return refused(`the registry has no schema ${decoded.schemaId}; register it first`)
      default:
        return refused(`data is no ${name} in Avro with the id of its schema: ${decoded.detail}`)
    }
  }
}

function refused(message: string): RefusedItem {
  return new RefusedItem({ code: 'bad_event', field: 'data', message })
}
