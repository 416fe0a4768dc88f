import { createRoute, z } from '@hono/zod-openapi'
import { deadLetterReasons } from '#schemas/dead-letter.ts'
import { failure, success } from '../route-parts.ts'
import { leftReasons } from './judge.ts'
import { idPattern } from './letter.ts'
import { mendingRule } from './rule.ts'
import { states } from './scan.ts'
import { letterSelector, selectorFields } from './selector.ts'

/** Route definitions for dead letters. */

const letterId = z.string().regex(idPattern, 'is no id of a dead letter, such as 3:128').openapi({ example: '3:128' })
const count = z.number().int()

const letterFields = {
  id: z.string().describe('partition:offset in the topic of dead letters; never changes'),
  state: z.enum(states),
  reason: z.enum(deadLetterReasons),
  detail: z.string(),
  client_id: z.string().nullable().describe('key of the record'),
  transaction_id: z.string().nullable().describe('null where the value cannot be decoded, as source'),
  source: z.string().nullable(),
  topic: z.string().describe('of the record that was refused, as partition and offset'),
  partition: count,
  offset: count,
  arrived_at: z.string(),
  schema_id: count.nullable(),
  bytes: count,
  truncated_from: count.nullable().describe('length of the value where it was cut'),
  attempt: count.describe('2 for a letter that came back from its first replay'),
  replay_of: z.object({ id: z.string(), action_id: z.string() }).nullable().describe('the letter that it was before'),
  action_id: z.string().nullable().describe('what was done about it; null while it is open'),
}

export const deadLetter = z.object(letterFields).openapi('DeadLetter')

export const wholeDeadLetter = z
  .object({
    ...letterFields,
    transaction: z.record(z.string(), z.unknown()).nullable().describe('the decoded value'),
    undecodable: z.string().nullable().describe('why there is no transaction'),
    value_base64: z.string().nullable().describe('the first 4 KiB of the value'),
  })
  .openapi('DeadLetterWithValue')

const tally = {
  selected: count.describe('open letters that were meant'),
  not_open: count
    .optional()
    .describe(
      'letters named by id that are not there, were dealt with before or are not what the selector says besides',
    ),
  left: z.partialRecord(z.enum(leftReasons), count).describe('letters that stay open, by why'),
  still_invalid: z.partialRecord(z.enum(deadLetterReasons), count).describe('of left.still_invalid, by reason'),
}

export const preview = z
  .object({
    selected: tally.selected,
    not_open: tally.not_open,
    would_replay: count.describe('whether they count, or are known already, only the stream can say'),
    left: tally.left,
    still_invalid: tally.still_invalid,
    examples: z.array(z.object({ id: z.string(), why: z.enum(leftReasons), detail: z.string() })),
  })
  .openapi('DeadLetterPreview')

export const action = z
  .object({
    action_id: z.string(),
    kind: z.enum(['replay', 'discard']),
    status: z.enum(['PENDING', 'PROCESSING', 'COMPLETED', 'FAILED']),
    progress_percentage: z.number().int().min(0).max(100),
    selector: z.record(z.string(), z.unknown()),
    rule: z.record(z.string(), z.unknown()).nullable(),
    reason: z.string().nullable().describe('of a discard'),
    ordered_by: z.string().nullable(),
    ordered_at: z.string(),
    finished_at: z.string().nullable(),
    counts: z.object({
      selected: tally.selected,
      not_open: tally.not_open,
      replayed: count,
      discarded: count,
      left: tally.left,
      still_invalid: tally.still_invalid,
    }),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
  })
  .openapi('DeadLetterAction')

export const group = z
  .object({
    reason: z.enum(deadLetterReasons),
    source: z.string().nullable().describe('null where the value cannot be decoded'),
    schema_id: count.nullable(),
    count,
    came_back: count.describe('of them: came back from a replay'),
    first_arrived_at: z.string(),
    last_arrived_at: z.string(),
    example: z.object({ id: z.string(), detail: z.string() }),
  })
  .openapi('DeadLetterGroup')

/** A field of a query that may be given several times; `none` stands for null. */
function several<Item extends z.ZodType>(item: Item) {
  return z
    .union([z.array(item).min(1).max(1_000), item])
    .transform((value) => (Array.isArray(value) ? value : [value]) as z.output<Item>[])
    .optional()
}

const noneAsNull = (text: string) => (text === 'none' ? null : text)

const filterQuery = {
  id: several(letterId),
  reason: several(z.enum(deadLetterReasons)),
  source: several(z.string().transform(noneAsNull)).describe('none: those that cannot be decoded'),
  schema_id: several(
    z
      .string()
      .regex(/^(\d{1,10}|none)$/, 'must be a number, or none')
      .transform((text) => (text === 'none' ? null : Number(text))),
  ).describe('none: those without a frame'),
  client_id: several(z.string()),
  arrived_from: selectorFields.arrived_from.optional(),
  arrived_before: selectorFields.arrived_before.optional(),
  came_back_from: selectorFields.came_back_from.optional(),
  state: z.enum([...states, 'any']).default('open'),
}

const placePattern = /^\d{1,16}(,\d{1,16})*$/
const management = { tags: ['management'] }
const base = '/api/v1/management/dead-letters'

export const listDeadLetters = createRoute({
  ...management,
  method: 'get',
  path: base,
  summary: 'Dead letters, newest first',
  request: {
    query: z.object({
      ...filterQuery,
      limit: z.coerce.number().int().min(1).max(1_000).default(50),
      before: z.string().regex(placePattern, 'is no next of a page').optional().describe('`next` of the page before'),
    }),
  },
  responses: {
    200: success(
      'a page of letters',
      z.object({ dead_letters: z.array(deadLetter), next: z.string().nullable() }).openapi('DeadLetters'),
    ),
    400: failure('a field of the query is not as it should be'),
    503: failure('the log or the registry does not answer'),
  },
})

export const groupDeadLetters = createRoute({
  ...management,
  method: 'get',
  path: `${base}/groups`,
  summary: 'Dead letters by reason, source and schema',
  description: 'Reads every letter there is: some seconds for a million.',
  request: { query: z.object(filterQuery) },
  responses: {
    200: success(
      'the groups, largest first',
      z
        .object({
          total: count,
          groups: z.array(group),
          ungrouped: count.describe('letters beyond the first 1,000 groups'),
          unreadable: count.describe('records that the platform did not write'),
        })
        .openapi('DeadLetterGroups'),
    ),
    400: failure('a field of the query is not as it should be'),
    503: failure('the log or the registry does not answer'),
  },
})

export const getDeadLetter = createRoute({
  ...management,
  method: 'get',
  path: `${base}/{id}`,
  summary: 'One dead letter with its decoded value',
  request: {
    params: z.object({ id: letterId }),
    query: z.object({
      schema_id: z.coerce.number().int().min(0).max(0xffff_ffff).optional().describe('decode by this schema instead'),
    }),
  },
  responses: {
    200: success('the letter', wholeDeadLetter),
    400: failure('the id is none'),
    404: failure('there is no such letter, or not any more'),
    503: failure('the log or the registry does not answer'),
  },
})

const user = z.object({ 'loyalty-user': z.string().max(200).optional().describe('who orders it; recorded as told') })

function body<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { 'application/json': { schema } } }
}

const replayOrder = z.strictObject({
  selector: letterSelector,
  rule: mendingRule.nullish().describe('how to mend them; without it they are replayed as they are'),
})

export const previewReplay = createRoute({
  ...management,
  method: 'post',
  path: `${base}/preview`,
  summary: 'What a replay would come to, without doing anything',
  request: { body: body(replayOrder) },
  responses: {
    200: success('counts by outcome', preview),
    400: failure('the selector or the rule is not valid'),
    409: failure('the programme is not configured yet'),
    503: failure('the log or the registry does not answer'),
  },
})

export const postReplay = createRoute({
  ...management,
  method: 'post',
  path: `${base}/replay`,
  summary: 'Replay the open letters that are there now, mended by a rule if one is given',
  request: { headers: user, body: body(replayOrder) },
  responses: {
    202: success('ordered', action),
    400: failure('the selector or the rule is not valid'),
    409: failure('the programme is not configured yet'),
    503: failure('the log or the registry does not answer'),
  },
})

const reasonNeeded = 'a reason is needed: say why the letters are discarded'
const discardReason = z
  .string({ error: ({ input }) => (input === undefined || input === null ? reasonNeeded : 'must be a text') })
  .trim()
  .min(1, reasonNeeded)
  .max(1_000)

export const postDiscard = createRoute({
  ...management,
  method: 'post',
  path: `${base}/discard`,
  summary: 'Put the open letters that are there now aside for good',
  request: {
    headers: user,
    body: body(z.strictObject({ selector: letterSelector, reason: discardReason })),
  },
  responses: {
    202: success('ordered', action),
    400: failure('the selector or the reason is not valid'),
    503: failure('the log does not answer'),
  },
})

export const listActions = createRoute({
  ...management,
  method: 'get',
  path: `${base}/actions`,
  summary: 'What was done about dead letters, newest first',
  request: {
    query: z.object({
      skip: z.coerce.number().int().min(0).default(0),
      limit: z.coerce.number().int().min(1).max(1_000).default(50),
    }),
  },
  responses: {
    200: success(
      'a page of actions',
      z.object({ total: count, actions: z.array(action) }).openapi('DeadLetterActions'),
    ),
    400: failure('skip or limit is out of range'),
  },
})

export const getAction = createRoute({
  ...management,
  method: 'get',
  path: `${base}/actions/{action_id}`,
  summary: 'One action and how far it is',
  request: { params: z.object({ action_id: z.uuid() }) },
  responses: {
    200: success('the action', action),
    400: failure('the id is no UUID'),
    404: failure('there is no such action'),
  },
})

export const deadLetterRoutes = [
  listDeadLetters,
  groupDeadLetters,
  previewReplay,
  postReplay,
  postDiscard,
  listActions,
  getAction,
  getDeadLetter,
] as const
