import { findClientColumns } from '../clients/columns.ts'
import { ClientMapper } from '../clients/map-row.ts'
import { type ClientsProfile, isOfClients } from '../clients/profile.ts'
import { findColumns } from '../files/columns.ts'
import { minorDigits } from '../parse/currency.ts'
import type { AnyProfile, FileProfile } from '../profile.ts'
import { notationOf } from '../profile-fields.ts'
import { RowMapper } from '../receipts/map-row.ts'
import type { Proposal } from './proposal.ts'
import { type Question, question } from './question.ts'
import { readSampleBy, type Sample } from './sample.ts'

/** What an upload would reject of the first rows, which are read as it reads them: not as the proposal was made from them. */
interface Rejected {
  readonly rows: number
  readonly reasons: Map<string, number>
}

/** `currency`: of the programme, for balances of clients. Errors: those of `readSampleBy`, `columns_missing`. */
async function rejectedBy(path: string, profile: AnyProfile, currency: string | null): Promise<Rejected> {
  const notation = isOfClients(profile) ? profile : notationOf(profile)
  const sample = await readSampleBy(path, profile.format, notation)
  const reasonOf = isOfClients(profile) ? clientReasons(profile, sample, currency) : receiptReasons(profile, sample)
  const reasons = new Map<string, number>()
  sample.rows.forEach((row, at) => {
    const reason = reasonOf(row, at + 1)
    if (reason !== null) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  })
  return { rows: sample.rows.length, reasons }
}

type ReasonOf = (row: readonly string[], number: number) => string | null

function receiptReasons(profile: FileProfile, { header }: Sample): ReasonOf {
  const mapper = new RowMapper(profile, findColumns(profile, header), Date.now())
  return (row, number) => mapper.map(row, number)
}

function clientReasons(profile: ClientsProfile, { header }: Sample, currency: string | null): ReasonOf {
  const digits = currency === null ? 2 : minorDigits(currency)
  const mapper = new ClientMapper(profile, findClientColumns(profile, header), { digits, source: 'proposal' })
  return (row) => {
    const judged = mapper.map(row)
    if (!('code' in judged)) return null
    return judged.field === null ? judged.code : `${judged.code} (${judged.field})`
  }
}

/** So many of the first rows may be rejected by a profile that is made from the file, whatever for. */
const toleratedShare = 0.05
/**
 * So many for one reason by a profile that was written for such files: where most rows lack the same, it does not read this
 * one; what rows lack each by itself their verdicts say.
 */
const toleratedShareOfKnown = 0.5

/**
 * Questions where too many of the first rows would be rejected. Of transactions, those that name no client do not count as
 * long as some do, and with a known profile not at all, nor then those that name one badly; nor do those in a currency that
 * is `asked` about already. Errors: those of `readSampleBy`.
 */
export async function askRejected(
  path: string,
  profile: AnyProfile,
  currency: string | null,
  { basis, asked }: { readonly basis: Proposal['basis']; readonly asked: readonly Question[] },
): Promise<Question[]> {
  const { rows, reasons } = await rejectedBy(path, profile, currency)
  if (asked.some(({ field }) => field === 'currency')) reasons.delete('wrong_currency')
  if (!isOfClients(profile)) {
    if (basis !== 'content' || reasons.get('missing_client') !== rows) reasons.delete('missing_client')
    // "-" for a client without a card, as its profile knows.
    if (basis !== 'content') reasons.delete('bad_client_id')
  }
  let all = 0
  for (const count of reasons.values()) all += count
  const isTooMany = (count: number) =>
    basis === 'content' ? all > rows * toleratedShare : count > rows * toleratedShareOfKnown
  return [...reasons].flatMap(([reason, count]) =>
    isTooMany(count) ? [question('rows', `${count} of the first ${rows} rows would be rejected: ${reason}`)] : [],
  )
}
