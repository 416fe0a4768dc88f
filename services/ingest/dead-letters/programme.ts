import type { ProgrammeConfigured } from '#schemas/events.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { Control } from '../control.ts'

/** What letters are judged by. Errors: `programme_missing`. */
export async function programmeOf(control: Control): Promise<ProgrammeConfigured> {
  const { programme } = await control.read()
  if (programme !== null) return programme
  throw new LoyaltyError('programme_missing', 'no programme is configured; run `loyalty start` or ingest a file')
}
