import type { ReadableStream } from 'node:stream/web'
import type { OpenAPIHono, z } from '@hono/zod-openapi'
import type { EventEncoder } from '#schemas/encoder.ts'
import type { Topics } from '#schemas/topics.ts'
import { hasCode, LoyaltyError } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import type { Logger } from '../../platform/logging.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Control } from '../control.ts'
import { TillDoor } from './door.ts'
import { Gate, type GateLimits } from './gate.ts'
import { GroupCommit } from './group-commit.ts'
import { Principals } from './principal.ts'
import { type Outcome, type RequestLimits, requestLimits, takeRequest } from './requests.ts'
import { postTransactions, type transactionsAnswer } from './routes.ts'

export interface TillsDeps {
  readonly log: Log
  readonly topics: Topics
  readonly control: Pick<Control, 'read'>
  readonly encoder: EventEncoder<'TransactionRecorded'>
  /** Directory of the file profiles, which declare the keys of systems; default: those that ship. */
  readonly profilesDir?: string | undefined
  readonly metrics: Metrics
  readonly logger: Logger
  readonly limits?: Partial<RequestLimits & { readonly underWay: GateLimits; readonly commitMs: number }> | undefined
}

/** HTTP status by error code. */
export const tillStatuses: Readonly<Record<string, number>> = {
  system_invalid: 400,
  body_malformed: 400,
  nothing_accepted: 400,
  body_timeout: 408,
  programme_missing: 409,
  body_too_large: 413,
  too_many_items: 413,
  media_type_unsupported: 415,
  encoding_unsupported: 415,
  too_busy: 429,
}

const underWay: GateLimits = { requests: 256, bytes: 64 * 1024 * 1024 }

/** Serves tills over HTTP until `close`, which waits for what is on its way to the log. */
export function openTills(deps: TillsDeps) {
  const { log, topics, metrics, limits = {} } = deps
  const writer = log.writer()
  const commits = new GroupCommit({
    writer,
    topic: topics.transactions,
    onCommitted: (records, ms) => {
      metrics.records.inc({ topic: topics.transactions }, records)
      metrics.batchRecords.observe({ kind: 'tills' }, records)
      metrics.stepSeconds.observe({ kind: 'tills' }, ms / 1_000)
    },
  })
  const door = new TillDoor({ control: deps.control, encoder: deps.encoder, commits, commitMs: limits.commitMs })
  const intake = { door, gate: new Gate(limits.underWay ?? underWay), limits: { ...requestLimits, ...limits } }
  const principals = new Principals(deps.profilesDir)
  return {
    /** Adds the routes to an app that answers errors by `tillStatuses`. */
    addRoutes(app: OpenAPIHono): void {
      // Not app.openapi: its validator would read the whole body into memory.
      app.post(postTransactions.getRoutingPath(), async (c) => {
        const header = (name: string) => c.req.header(name)
        const content = c.req.raw.body as ReadableStream | null
        try {
          const outcome = await takeRequest(intake, { header, content, principal: principals.of(header) })
          tellRejections(deps, outcome)
          return c.json(answerOf(outcome), 202)
        } catch (error) {
          if (hasCode(error, 'too_busy')) c.header('retry-after', '1')
          throw error
        }
      })
    },
    async close(): Promise<void> {
      await commits.close()
      await writer.close()
    },
  }
}

function tellRejections({ metrics, logger }: TillsDeps, { accepted, rejected, codes }: Outcome): void {
  if (rejected === 0) return
  for (const [code, count] of Object.entries(codes)) metrics.rejected.inc({ code }, count)
  logger.info({ accepted, rejected, codes }, 'transactions of a till were rejected')
}

/** Errors: `nothing_accepted`. */
function answerOf({ accepted, rejected, verdicts }: Outcome): z.input<typeof transactionsAnswer> {
  const results = verdicts.map(({ index, verdict }) =>
    verdict.status === 'accepted'
      ? { index, status: verdict.status, transaction_id: verdict.transactionId }
      : { index, ...verdict },
  )
  if (accepted > 0) return { accepted, rejected, results }
  const first = verdicts[0]?.verdict
  const why =
    first === undefined || first.status === 'accepted'
      ? 'the body has no transaction'
      : `none of ${rejected} transactions was accepted; the first: ${first.message}`
  throw new LoyaltyError('nothing_accepted', why, { details: { accepted, rejected, results } })
}
