import type { DeadLetterReason } from '#schemas/dead-letter.ts'
import type { LeftReason } from '../ingest/dead-letters/judge.ts'
import type { Preview } from '../ingest/dead-letters/service.ts'
import type { Action } from '../ingest/dead-letters/store.ts'
import type { Tally } from '../ingest/dead-letters/tally.ts'
import { actionNotOpen } from '../ingest/dead-letters/views.ts'

/** Outcomes of work on dead letters, for people. */

const leftTexts: Readonly<Record<LeftReason, string>> = {
  still_invalid: 'would be refused again',
  untouched: 'the rule changes nothing in them',
  rule_unfit: 'need more than the rule says',
  discard_only: 'can only be discarded',
  original_gone: 'were cut, and their original is gone',
}

export function previewLines({ tally, notOpen, examples }: Preview): string[] {
  return [
    `${count(tally.selected)} open letters are meant, of them`,
    `  ${count(tally.replayed)} would be replayed`,
    ...leftLines(tally),
    ...notOpenLines(notOpen),
    ...examples.map(({ id, detail }) => `    ${id}: ${detail}`),
  ]
}

export function actionLines(action: Action): string[] {
  const { actionId, kind, status, tally, orderedBy, orderedAtMs, reason, errorCode } = action
  const by = orderedBy === null ? '' : ` by ${orderedBy}`
  const done = kind === 'replay' ? `${count(tally.replayed)} were replayed` : `${count(tally.discarded)} were discarded`
  return [
    `${kind} ${actionId}, ordered ${new Date(orderedAtMs).toISOString()}${by}: ${status}${errorCode === null ? '' : ` (${errorCode})`}`,
    ...(reason === null ? [] : [`  because: ${reason}`]),
    `${count(tally.selected)} open letters were meant, of them`,
    `  ${done}`,
    ...leftLines(tally),
    ...notOpenLines(actionNotOpen(action)),
  ]
}

function notOpenLines(notOpen: number | null): string[] {
  if (notOpen === null || notOpen === 0) return []
  return [`${count(notOpen)} that were named by id are not there, were dealt with before or are not as chosen besides`]
}

function leftLines({ left, still_invalid }: Tally): string[] {
  return Object.entries(left).map(([why, letters]) => {
    const reasons = why === 'still_invalid' ? ` (${reasonsText(still_invalid)})` : ''
    return `  ${count(letters)} ${leftTexts[why as LeftReason]}${reasons}`
  })
}

function reasonsText(reasons: Partial<Record<DeadLetterReason, number>>): string {
  return Object.entries(reasons)
    .map(([reason, letters]) => `${reason}: ${count(letters)}`)
    .join(', ')
}

function count(letters: number): string {
  return letters.toLocaleString('en')
}
