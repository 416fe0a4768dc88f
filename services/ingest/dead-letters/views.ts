import type { z } from '@hono/zod-openapi'
import type { TransactionRecorded } from '#schemas/events.ts'
import type { Grouping } from './groups.ts'
import { shareOf } from './job.ts'
import { attemptOf, idOf, keyText } from './letter.ts'
import type { action, deadLetter, group, preview, wholeDeadLetter } from './routes.ts'
import { type KnownLetter, stateOf } from './scan.ts'
import type { Preview, WholeLetter } from './service.ts'
import type { Action } from './store.ts'
import { notOpenOf } from './tally.ts'

/** Dead letters as the API and the command line tell them. */

export function letterView(letter: KnownLetter): z.input<typeof deadLetter> {
  const { about, summary, replay, mark } = letter
  return {
    id: idOf(letter),
    state: stateOf(letter),
    reason: about.reason,
    detail: about.detail,
    client_id: keyText(letter),
    transaction_id: summary?.transactionId ?? null,
    source: summary?.source ?? null,
    topic: about.topic,
    partition: about.partition,
    offset: about.offset,
    arrived_at: iso(about.timestampMs),
    schema_id: about.schemaId,
    bytes: letter.bytes,
    truncated_from: about.truncatedFrom,
    attempt: attemptOf(letter),
    replay_of: replay && { id: replay.of, action_id: replay.action },
    action_id: mark?.actionId ?? null,
  }
}

const shownBytes = 4_096

export function wholeLetterView({ letter, event, undecodable }: WholeLetter): z.input<typeof wholeDeadLetter> {
  const { value } = letter
  return {
    ...letterView(letter),
    transaction: event && transactionView(event),
    undecodable,
    value_base64: value === null ? null : Buffer.from(value.subarray(0, shownBytes)).toString('base64'),
  }
}

/** An instant that is none is told as the number it is. */
function transactionView(event: TransactionRecorded): Record<string, unknown> {
  const instant = new Date(event.occurred_at)
  return { ...event, occurred_at: Number.isNaN(instant.getTime()) ? event.occurred_at : instant.toISOString() }
}

export function groupingView({ groups, total, ungrouped, unreadable }: Grouping) {
  return {
    total,
    groups: groups.map(
      (each): z.input<typeof group> => ({
        reason: each.reason,
        source: each.source,
        schema_id: each.schemaId,
        count: each.count,
        came_back: each.cameBack,
        first_arrived_at: iso(each.firstArrivedMs),
        last_arrived_at: iso(each.lastArrivedMs),
        example: { id: each.exampleId, detail: each.exampleDetail },
      }),
    ),
    ungrouped,
    unreadable,
  }
}

export function previewView({ tally, notOpen, examples }: Preview): z.input<typeof preview> {
  const { selected, replayed, left, still_invalid } = tally
  return { selected, ...named(notOpen), would_replay: replayed, left, still_invalid, examples: [...examples] }
}

/** Null where no letters were named by id, and while the action has not ended. */
export function actionNotOpen({ status, selector, tally }: Action): number | null {
  return status === 'COMPLETED' ? notOpenOf(selector, tally) : null
}

function named(notOpen: number | null): { readonly not_open?: number } {
  return notOpen === null ? {} : { not_open: notOpen }
}

export function actionView(order: Action): z.input<typeof action> {
  const { actionId, kind, status, selector, rule, reason, orderedBy, tally } = order
  const { selected, replayed, discarded, left, still_invalid } = tally
  const share = status === 'COMPLETED' ? 1 : shareOf(order, order.checkpoint?.next ?? order.starts)
  return {
    action_id: actionId,
    kind,
    status,
    progress_percentage: Math.floor(share * 100),
    selector,
    rule,
    reason,
    ordered_by: orderedBy,
    ordered_at: iso(order.orderedAtMs),
    finished_at: order.finishedAtMs === null ? null : iso(order.finishedAtMs),
    counts: { selected, ...named(actionNotOpen(order)), replayed, discarded, left, still_invalid },
    failure: order.errorCode === null ? null : { code: order.errorCode, message: order.errorMessage ?? '' },
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
