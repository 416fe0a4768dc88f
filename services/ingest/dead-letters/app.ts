import type { OpenAPIHono } from '@hono/zod-openapi'
import { bodyLimit } from 'hono/body-limit'
import { LoyaltyError } from '#streams/core/error.ts'
import {
  getAction,
  getDeadLetter,
  groupDeadLetters,
  listActions,
  listDeadLetters,
  postDiscard,
  postReplay,
  previewReplay,
} from './routes.ts'
import type { LetterState } from './scan.ts'
import type { LetterFilter } from './selector.ts'
import type { DeadLetters } from './service.ts'
import { actionView, groupingView, letterView, previewView, wholeLetterView } from './views.ts'

/** HTTP status by error code, where it is not 500 (or 503 for what may pass). */
export const deadLetterStatuses: Readonly<Record<string, number>> = {
  rule_invalid: 400,
  dead_letter_not_found: 404,
  dead_letter_action_not_found: 404,
  programme_missing: 409,
}

/** A rule may map many clients. */
const largestBody = 4 * 1024 * 1024

function refuseLarge(): never {
  throw new LoyaltyError('body_too_large', `an order about dead letters has at most ${largestBody} bytes`, {
    details: { limit: largestBody },
  })
}

interface FilterQuery extends LetterFilter {
  readonly state: LetterState | 'any'
}

/** `onOrder`: an action was written, the worker need not wait for its next look. */
export function addDeadLetterRoutes(app: OpenAPIHono, letters: DeadLetters, onOrder: () => void): void {
  app.use('/api/v1/management/dead-letters/*', bodyLimit({ maxSize: largestBody, onError: refuseLarge }))

  app.openapi(groupDeadLetters, async (c) => {
    const { filter, state } = filterOf(c.req.valid('query'))
    return c.json(groupingView(await letters.groups(filter, state)), 200)
  })

  app.openapi(listDeadLetters, async (c) => {
    const { limit, before, ...query } = c.req.valid('query')
    const page = await letters.page({ ...filterOf(query), limit, before: before?.split(',').map(Number) ?? null })
    return c.json({ dead_letters: page.letters.map(letterView), next: page.next?.join(',') ?? null }, 200)
  })

  app.openapi(previewReplay, async (c) => {
    const { selector, rule } = c.req.valid('json')
    return c.json(previewView(await letters.preview(selector, rule ?? null)), 200)
  })

  app.openapi(postReplay, async (c) => {
    const { selector, rule } = c.req.valid('json')
    const order = await letters.orderReplay(selector, rule ?? null, c.req.valid('header')['loyalty-user'] || null)
    onOrder()
    return c.json(actionView(order), 202)
  })

  app.openapi(postDiscard, async (c) => {
    const { selector, reason } = c.req.valid('json')
    const order = await letters.orderDiscard(selector, reason, c.req.valid('header')['loyalty-user'] || null)
    onOrder()
    return c.json(actionView(order), 202)
  })

  app.openapi(listActions, async (c) => {
    const { skip, limit } = c.req.valid('query')
    const { total, actions } = await letters.store.list(skip, limit)
    return c.json({ total, actions: actions.map(actionView) }, 200)
  })

  app.openapi(getAction, async (c) => {
    return c.json(actionView(await letters.action(c.req.valid('param').action_id)), 200)
  })

  app.openapi(getDeadLetter, async (c) => {
    const { schema_id: schemaId } = c.req.valid('query')
    return c.json(wholeLetterView(await letters.show(c.req.valid('param').id, schemaId ?? null)), 200)
  })
}

function filterOf({ state, ...filter }: FilterQuery) {
  return { filter, state: state === 'any' ? null : state }
}
