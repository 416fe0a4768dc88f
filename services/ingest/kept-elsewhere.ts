import { LoyaltyError } from '#streams/core/error.ts'

/** What is known to have been made of an upload is not in the data directory of this program. */
export function keptElsewhere(what: string, batchId: string, path: string): LoyaltyError {
  return new LoyaltyError(
    'kept_elsewhere',
    `the ${what} of upload ${batchId} are not at ${path}: another ingest program, with a data directory of its own, did that work; ` +
      'ask that one, or let all programs have one data directory. If there never was another, the file was lost',
    { details: { batch_id: batchId, path } },
  )
}
