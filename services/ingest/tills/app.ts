import type { ReadableStream } from 'node:stream/web'
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { EventEncoder } from '#schemas/encoder.ts'
import type { Registry } from '#schemas/registry.ts'
import type { Topics } from '#schemas/topics.ts'
import { hasCode, LoyaltyError } from '#streams/core/error.ts'
import type { Log } from '#streams/log/log.ts'
import type { Logger } from '../../platform/logging.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { clientRecords } from '../clients/records.ts'
import { clientEventType, postClients } from '../clients/routes.ts'
import type { Control } from '../control.ts'
import type { ProfileBook } from '../profile-book.ts'
import type { GenerationFence } from '../undo/fence.ts'
import { avroItems } from './avro-items.ts'
import { transactionEventType } from './cloud-events.ts'
import { Door, type RecordOf } from './door.ts'
import { Gate, type GateLimits } from './gate.ts'
import { GroupCommit } from './group-commit.ts'
import { Principals } from './principal.ts'
import { type ItemKind, type Outcome, type RequestLimits, requestLimits, takeRequest } from './requests.ts'
import { postTransactions } from './routes.ts'
import { transactionRecords } from './transaction-record.ts'

export interface TillsDeps {
  readonly log: Log
  readonly topics: Topics
  readonly control: Pick<Control, 'read'>
  readonly registry: Registry
  /** Of receipts that were taken back before; default: none was. */
  readonly fence?: GenerationFence | undefined
  readonly encoders: {
    readonly TransactionRecorded: EventEncoder<'TransactionRecorded'>
    readonly ClientProfileChanged: EventEncoder<'ClientProfileChanged'>
  }
  /** The file profiles, which declare the keys of systems. */
  readonly profiles: ProfileBook
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

/** What one door is made of, beside what all share. */
interface DoorParts {
  readonly path: string
  readonly topic: string
  readonly recordOf: RecordOf
  readonly kind: ItemKind
  /** Name of an item's id in the answer. */
  readonly idName: string
  /** Where ids have generations. */
  readonly fence?: GenerationFence | undefined
}

/** Serves tills over HTTP until `close`, which waits for what is on its way to the log. */
export function openTills(deps: TillsDeps) {
  const { log, topics, registry, encoders, limits = {} } = deps
  const writer = log.writer()
  const principals = new Principals(deps.profiles)
  // One for all doors: it is the program's memory that is bounded.
  const gate = new Gate(limits.underWay ?? underWay)
  const parts: readonly DoorParts[] = [
    {
      path: postTransactions.getRoutingPath(),
      topic: topics.transactions,
      recordOf: transactionRecords(encoders.TransactionRecorded, deps.fence?.generations),
      kind: {
        noun: 'transaction',
        eventType: transactionEventType,
        ofAvro: avroItems(registry, 'TransactionRecorded', ['source', 'batch_id']),
      },
      idName: 'transaction_id',
      fence: deps.fence,
    },
    {
      path: postClients.getRoutingPath(),
      topic: topics.clients,
      recordOf: clientRecords(encoders.ClientProfileChanged),
      kind: {
        noun: 'client',
        eventType: clientEventType,
        ofAvro: avroItems(registry, 'ClientProfileChanged', ['source']),
      },
      idName: 'client_id',
    },
  ]
  const doors = parts.map((part) => {
    const { recordOf, kind, topic, fence } = part
    const confirm = fence && (() => fence.catchUp())
    const commits = new GroupCommit({ writer, topic, confirm, onCommitted: countCommits(deps, topic) })
    const version = fence && (() => fence.generations.version)
    const door = new Door({ control: deps.control, recordOf, commits, version, commitMs: limits.commitMs })
    return { ...part, commits, intake: { kind, door, gate, limits: { ...requestLimits, ...limits } } }
  })
  return {
    /** Adds the routes to an app that answers errors by `tillStatuses`. */
    addRoutes(app: OpenAPIHono): void {
      // Not app.openapi: its validator would read the whole body into memory.
      for (const { path, intake, idName, fence } of doors)
        app.post(path, async (c) => {
          const header = (name: string) => c.req.header(name)
          const content = c.req.raw.body as ReadableStream | null
          try {
            // Not needed for what is right, which is found out afterwards, but it seldom comes to that then.
            await fence?.catchUp()
            const outcome = await takeRequest(intake, { header, content, principal: await principals.of(header) })
            tellRejections(deps, intake.kind, outcome)
            return c.json(answerOf(outcome, intake.kind, idName), 202)
          } catch (error) {
            if (hasCode(error, 'too_busy')) c.header('retry-after', '1')
            throw error
          }
        })
    },
    async close(): Promise<void> {
      for (const { commits } of doors) await commits.close()
      await writer.close()
    },
  }
}

function countCommits({ metrics }: TillsDeps, topic: string) {
  return (records: number, ms: number) => {
    metrics.records.inc({ topic }, records)
    metrics.batchRecords.observe({ kind: 'tills' }, records)
    metrics.stepSeconds.observe({ kind: 'tills' }, ms / 1_000)
  }
}

function tellRejections(
  { metrics, logger }: TillsDeps,
  { noun }: ItemKind,
  { accepted, rejected, codes }: Outcome,
): void {
  if (rejected === 0) return
  for (const [code, count] of Object.entries(codes)) metrics.rejected.inc({ code }, count)
  logger.info({ accepted, rejected, codes }, `${noun}s of a till were rejected`)
}

/** Errors: `nothing_accepted`. */
function answerOf({ accepted, rejected, verdicts }: Outcome, { noun }: ItemKind, idName: string) {
  const results = verdicts.map(({ index, verdict }) =>
    verdict.status === 'accepted' ? { index, status: verdict.status, [idName]: verdict.id } : { index, ...verdict },
  )
  if (accepted > 0) return { accepted, rejected, results }
  const first = verdicts[0]?.verdict
  const why =
    first === undefined || first.status === 'accepted'
      ? `the body has no ${noun}`
      : `none of ${rejected} ${noun}s was accepted; the first: ${first.message}`
  throw new LoyaltyError('nothing_accepted', why, { details: { accepted, rejected, results } })
}
