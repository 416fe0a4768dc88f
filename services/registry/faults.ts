import { LoyaltyError } from '#streams/core/error.ts'

/** HTTP status and Confluent error code of everything the registry refuses, by our own stable code. */
export const registryFaults = {
  registry_subject_missing: { status: 404, errorCode: 40401 },
  registry_version_missing: { status: 404, errorCode: 40402 },
  registry_schema_missing: { status: 404, errorCode: 40403 },
  registry_config_missing: { status: 404, errorCode: 40408 },
  registry_schema_incompatible: { status: 409, errorCode: 409 },
  registry_schema_invalid: { status: 422, errorCode: 42201 },
  registry_version_invalid: { status: 422, errorCode: 42202 },
  registry_compatibility_invalid: { status: 422, errorCode: 42203 },
  registry_subject_invalid: { status: 422, errorCode: 42208 },
  registry_request_invalid: { status: 400, errorCode: 400 },
} as const

export type RegistryFault = keyof typeof registryFaults

export function registryFault(
  code: RegistryFault,
  message: string,
  details: Record<string, unknown> = {},
): LoyaltyError {
  return new LoyaltyError(code, message, { details })
}
