import { randomUUID } from 'node:crypto'
import type { Pool } from 'pg'
import type { ProgrammeConfigured } from '#schemas/events.ts'
import type { Clock } from '#streams/core/clock.ts'
import type { Control } from './control.ts'
import { zoneOffsets } from './parse/zone.ts'
import type { FileProfile } from './profile.ts'
import type { ProfileBook } from './profile-book.ts'
import type { ProposalContext } from './proposal/proposal.ts'
import { inTransaction } from './store/transaction.ts'

/** Settings of a programme as configured; what is missing comes from the file profile in use, else is the default. */
export interface ProgrammeSettings {
  readonly currency?: string | undefined
  readonly timeZone?: string | undefined
  readonly clock?: 'system' | 'events' | undefined
  readonly monetaryBasis: 'net' | 'gross'
  readonly partitions: number
  readonly ledgerCap: number
}

/** Finds the file profile that a new programme is configured by, among those that are known. Asked only where it is new. */
export type ProgrammeBasis = (profiles: ProfileBook, settings: ProgrammeSettings) => Promise<FileProfile>

/** The model that a new programme begins with, as its card names it. */
export interface DefaultModel {
  readonly id: string
  readonly version: string
  readonly sha256: string
}

export interface ProgrammeDeps {
  readonly control: Control
  /** Where the lock is taken, so that of two programs that start at once one configures the programme. */
  readonly pool: Pool
  readonly clock: Clock
  readonly settings: ProgrammeSettings
  readonly model: DefaultModel | null
  /** Tells a person which settings were chosen for them. */
  readonly notice: (text: string) => void
}

const defaults = { currency: 'RUB', timeZone: 'Europe/Moscow', clock: 'system' } as const

/**
 * The programme of the control topic; where the topic is empty it is configured first, together with the default model.
 * `profile` is the file profile in use, if any. Safe to call from several programs and again and again.
 */
export async function ensureProgramme(deps: ProgrammeDeps, profile: FileProfile | null): Promise<ProgrammeConfigured> {
  const known = (await deps.control.read()).programme
  if (known !== null) return known
  return inTransaction(deps.pool, async (client) => {
    await client.query(`select pg_advisory_xact_lock(hashtextextended('loyalty.programme', 0))`)
    const meanwhile = (await deps.control.read()).programme
    return meanwhile ?? configure(deps, profile)
  })
}

/** What a proposal may take for granted: what the programme began with, else what was set. */
export async function proposalContext(
  control: Pick<Control, 'read'>,
  { currency, timeZone }: Pick<ProgrammeSettings, 'currency' | 'timeZone'>,
): Promise<ProposalContext> {
  const { programme } = await control.read()
  return programme === null
    ? { currency: currency ?? null, timeZone: timeZone ?? null }
    : { currency: programme.currency, timeZone: programme.time_zone }
}

async function configure(deps: ProgrammeDeps, profile: FileProfile | null): Promise<ProgrammeConfigured> {
  const { control, clock, settings, model, notice } = deps
  const nowMs = clock.nowMs()
  const currency = settings.currency ?? profile?.currency ?? defaults.currency
  const timeZone = settings.timeZone ?? profile?.time_zone ?? defaults.timeZone
  const programme: ProgrammeConfigured = {
    programme_id: randomUUID(),
    currency,
    time_zone: timeZone,
    offsets: zoneOffsets(timeZone).map(({ fromMs, offsetMinutes }) => ({
      from: fromMs,
      offset_minutes: offsetMinutes,
    })),
    clock: settings.clock ?? profile?.clock ?? defaults.clock,
    monetary_basis: settings.monetaryBasis,
    partitions: settings.partitions,
    ledger_cap: settings.ledgerCap,
    configured_at: nowMs,
  }
  if (profile === null && (settings.currency === undefined || settings.timeZone === undefined))
    notice(
      `this programme counts in ${currency} and in the days of ${timeZone}, for ever: no currency or time zone was set ` +
        '(LOYALTY_CURRENCY, LOYALTY_TIME_ZONE)',
    )
  await control.publish(
    ['ProgrammeConfigured', programme],
    ...(model === null
      ? []
      : ([
          [
            'ModelActivated',
            { model_id: model.id, model_version: model.version, sha256: model.sha256, activated_at: nowMs },
          ],
        ] as const)),
  )
  return programme
}
