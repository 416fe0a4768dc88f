import avro from 'avsc'
import type { EventName } from './events.ts'
import { schemaText } from './published.ts'

/** Confluent wire format: a zero byte, the writer's schema id (four bytes, big-endian), Avro. */
export const frameLength = 5

const magic = 0

/** Schema id of a framed value, or null where the frame is missing. */
export function schemaIdOf(value: Uint8Array): number | null {
  if (value.length < frameLength || value[0] !== magic) return null
  return value[1]! * 0x1000000 + ((value[2]! << 16) | (value[3]! << 8) | value[4]!)
}

/** Writes the frame at `position`. */
export function writeFrame(target: Uint8Array, position: number, schemaId: number): void {
  target[position] = magic
  target[position + 1] = schemaId >>> 24
  target[position + 2] = schemaId >>> 16
  target[position + 3] = schemaId >>> 8
  target[position + 4] = schemaId
}

/** The same memory as a Buffer; copies nothing. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Parses a schema. Records come as plain objects: no methods are hung on their prototypes. */
export function parseSchema(schema: string | avro.schema.AvroSchema): avro.Type {
  const parsed = typeof schema === 'string' ? (JSON.parse(schema) as avro.schema.AvroSchema) : schema
  return avro.Type.forSchema(parsed, { omitRecordMethods: true })
}

const types = new Map<EventName, avro.types.RecordType>()

/** Parsed newest schema of an event, as readers and writers of this version see it. */
export function eventType(name: EventName): avro.types.RecordType {
  let type = types.get(name)
  if (type === undefined) {
    type = parseSchema(schemaText(name)) as avro.types.RecordType
    types.set(name, type)
  }
  return type
}

/** An event without some of its fields: readers skip them instead of building them, writers of parts leave them to others. */
export function reducedType(name: EventName, omit: readonly string[]): avro.types.RecordType {
  const schema = JSON.parse(schemaText(name)) as { fields: { name: string }[] }
  const fields = schema.fields.filter((field) => !omit.includes(field.name))
  return parseSchema({ ...schema, fields } as unknown as avro.schema.AvroSchema) as avro.types.RecordType
}
