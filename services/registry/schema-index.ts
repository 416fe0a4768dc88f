import { type ParsedSchema, parseAvroSchema } from './avro-schema.ts'
import {
  type CompatibilityLevel,
  compatibilityFaults,
  compatibilityLevels,
  defaultCompatibility,
} from './compatibility.ts'
import { registryFault } from './faults.ts'

/** One version of a subject. */
export interface SchemaVersion {
  readonly subject: string
  readonly version: number
  readonly id: number
  /** As it was registered, without insignificant white space. */
  readonly schema: string
}

/** A record of the schema topic: key and value are JSON. Keys are never reused, so compaction loses nothing but old settings. */
export type SchemaEntry =
  | { readonly key: { readonly subject: string; readonly version: number }; readonly value: SchemaVersion }
  | { readonly key: { readonly config: string }; readonly value: { readonly compatibility: CompatibilityLevel } }

/** Key of the setting that holds where a subject has none of its own. */
export const globalConfig = ''

/** The fold of the schema topic, and the rules of what may be added to it. Pure: it writes nothing. */
export class SchemaIndex {
  readonly #subjects = new Map<string, SchemaVersion[]>()
  readonly #byId = new Map<number, SchemaVersion>()
  readonly #idOf = new Map<string, number>()
  readonly #parsed = new Map<number, ParsedSchema>()
  readonly #levels = new Map<string, CompatibilityLevel>()
  #lastId = 0

  /** Folds an entry; one seen before changes nothing. */
  apply(entry: SchemaEntry): void {
    if ('config' in entry.key) {
      this.#levels.set(entry.key.config, (entry.value as { compatibility: CompatibilityLevel }).compatibility)
      return
    }
    const version = entry.value as SchemaVersion
    const versions = this.#subjects.get(version.subject) ?? []
    if (versions.some((each) => each.version === version.version)) return
    const parsed = this.#parsed.get(version.id) ?? parseAvroSchema(version.schema)
    this.#subjects.set(
      version.subject,
      [...versions, version].toSorted((a, b) => a.version - b.version),
    )
    this.#lastId = Math.max(this.#lastId, version.id)
    if (this.#byId.has(version.id)) return
    this.#byId.set(version.id, version)
    this.#parsed.set(version.id, parsed)
    this.#idOf.set(parsed.canonical, version.id)
  }

  subjects(): string[] {
    return [...this.#subjects.keys()].toSorted()
  }

  /** Errors: `registry_subject_missing`. */
  versions(subject: string): readonly SchemaVersion[] {
    const versions = this.#subjects.get(subject)
    if (versions === undefined)
      throw registryFault('registry_subject_missing', `Subject '${subject}' not found.`, { subject })
    return versions
  }

  /** `latest` and -1 mean the newest. Errors: `registry_subject_missing`, `registry_version_missing`, `registry_version_invalid`. */
  version(subject: string, text: string): SchemaVersion {
    const versions = this.versions(subject)
    if (text === 'latest' || text === '-1') return versions.at(-1)!
    const wanted = Number(text)
    if (!/^\d+$/.test(text) || wanted < 1 || wanted > 2 ** 31 - 1)
      throw registryFault('registry_version_invalid', `The specified version '${text}' is not a valid version id.`)
    const found = versions.find((each) => each.version === wanted)
    if (found === undefined)
      throw registryFault('registry_version_missing', `Version ${text} not found.`, { subject, version: text })
    return found
  }

  /** Errors: `registry_schema_missing`. */
  byId(id: number): SchemaVersion {
    const found = this.#byId.get(id)
    if (found === undefined) throw registryFault('registry_schema_missing', `Schema ${id} not found`, { id })
    return found
  }

  /** Every subject and version under which an id was registered. */
  usesOf(id: number): SchemaVersion[] {
    return [...this.#subjects.values()].flat().filter((version) => version.id === id)
  }

  /** Errors: `registry_subject_missing`, `registry_schema_missing`, `registry_schema_invalid`. */
  lookUp(subject: string, schema: string): SchemaVersion {
    const versions = this.versions(subject)
    const id = this.#idOf.get(parseAvroSchema(schema).canonical)
    const found = versions.find((version) => version.id === id)
    if (found === undefined) throw registryFault('registry_schema_missing', 'Schema not found', { subject })
    return found
  }

  /** A subject's own level, or null where it has none. */
  ownLevel(subject: string): CompatibilityLevel | null {
    return this.#levels.get(subject) ?? null
  }

  level(subject: string): CompatibilityLevel {
    return this.#levels.get(subject) ?? this.#levels.get(globalConfig) ?? defaultCompatibility
  }

  /** Errors: `registry_compatibility_invalid`. */
  levelEntry(subject: string, level: unknown): SchemaEntry {
    const known = compatibilityLevels.find((each) => each === level)
    if (known === undefined)
      throw registryFault(
        'registry_compatibility_invalid',
        `Invalid compatibility level. Valid values are ${compatibilityLevels.join(', ')}`,
      )
    return { key: { config: subject }, value: { compatibility: known } }
  }

  /** Faults of a schema as the next version after `versions` (all of the subject's, or one) under the subject's level. */
  faults(subject: string, schema: string, versions: readonly SchemaVersion[]): string[] {
    const parsed = versions.map((version) => this.#parsed.get(version.id)!)
    return compatibilityFaults(this.level(subject), parseAvroSchema(schema), parsed)
  }

  /**
   * The entry that registers a schema, or null where the subject has it already (then `lookUp` finds it). The same schema
   * has the same id under every subject.
   *
   * Errors: `registry_schema_invalid`, `registry_subject_invalid`, `registry_schema_incompatible` (details: faults).
   */
  registration(subject: string, schema: string): SchemaEntry | null {
    checkSubject(subject)
    const { canonical } = parseAvroSchema(schema)
    const id = this.#idOf.get(canonical)
    const versions = this.#subjects.get(subject) ?? []
    if (versions.some((version) => version.id === id)) return null
    const faults = this.faults(subject, schema, versions)
    if (faults.length > 0)
      throw registryFault(
        'registry_schema_incompatible',
        `Schema being registered is incompatible with an earlier schema for subject "${subject}": ${faults.join('; ')}`,
        { subject, faults },
      )
    const version = (versions.at(-1)?.version ?? 0) + 1
    const text = JSON.stringify(JSON.parse(schema))
    return {
      key: { subject, version },
      value: { subject, version, id: id ?? this.#lastId + 1, schema: text },
    }
  }
}

function checkSubject(subject: string): void {
  const printable = [...subject].every((character) => character.codePointAt(0)! > 31 && character !== '\u007f')
  if (subject === '' || subject.length > 255 || !printable)
    throw registryFault('registry_subject_invalid', 'The specified subject is not a valid subject name.', { subject })
}
