import type avro from 'avsc'
import { LoyaltyError } from '#streams/core/error.ts'
import { type AvroWriter, compileWriter, WriteFault } from './avro-writer.ts'
import { eventType } from './codec.ts'
import type { EventName } from './events.ts'

/**
 * A writer of an event or, with `type`, of a part of one. Its errors: `event_invalid`: a field is missing, of the wrong
 * type, or a long outside ±2^53.
 */
export function eventWriter(name: EventName, type: avro.Type = eventType(name)): AvroWriter {
  const write = compileWriter(type)
  return (value, bytes, position) => {
    try {
      return write(value, bytes, position)
    } catch (cause) {
      if (!(cause instanceof WriteFault)) throw cause
      throw new LoyaltyError('event_invalid', `${name} cannot be encoded: ${cause.message}`, { cause })
    }
  }
}
