import type { ReadableStream } from 'node:stream/web'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { type BodyLimits, readBody, readBytes, readLines, readText } from './body.ts'
import type { EventKind } from './cloud-event-data.ts'
import { itemOfHeaders, itemOfStructured } from './cloud-events.ts'
import { itemOfAvro } from './cloud-events-avro.ts'
import type { Admitted, Door, ItemVerdict } from './door.ts'
import type { Gate, Ticket } from './gate.ts'
import type { Principal } from './principal.ts'
import { RefusedItem } from './rejection.ts'

export interface TillRequest {
  readonly header: (name: string) => string | undefined
  readonly content: ReadableStream | null
  readonly principal: Principal
}

/** What became of the items of a request, in their order. */
export interface Outcome {
  readonly accepted: number
  readonly rejected: number
  /** How many were rejected, by code. */
  readonly codes: Readonly<Record<string, number>>
  /** Of a stream of lines only those that were rejected, and of these the first thousand. */
  readonly verdicts: readonly { readonly index: number; readonly verdict: ItemVerdict }[]
}

export interface RequestLimits {
  /** Items of an array, and verdicts listed of a stream. */
  readonly items: number
  readonly json: BodyLimits
  readonly ndjson: BodyLimits
  /** Bytes of one line. */
  readonly line: number
}

export const requestLimits: RequestLimits = {
  items: 1_000,
  json: { bytes: 16 * 1024 * 1024, idleMs: 15_000, totalMs: 60_000 },
  // The server itself ends a request after five minutes.
  ndjson: { bytes: 256 * 1024 * 1024, idleMs: 30_000, totalMs: 240_000 },
  line: 1024 * 1024,
}

/** What the items of a door are. */
export interface ItemKind extends EventKind {
  /** For messages: transaction, client. */
  readonly noun: string
}

export interface TillIntakeDeps {
  readonly kind: ItemKind
  readonly door: Door
  readonly gate: Gate
  readonly limits: RequestLimits
}

/**
 * Reads a request to its end and takes its items to the log. Resolves when the log has everything that the outcome
 * calls accepted.
 *
 * Errors: `media_type_unsupported`, `body_malformed`, `body_too_large`, `body_timeout`, `encoding_unsupported`,
 * `too_many_items`, `too_busy`, `programme_missing`, those of the log. Of a stream of lines some may be in the log then:
 * details.accepted of them at least.
 */
export async function takeRequest(deps: TillIntakeDeps, request: TillRequest): Promise<Outcome> {
  const take = takerOf(request)
  const ticket = deps.gate.enter()
  const underWay: Promise<unknown>[] = []
  try {
    return await take(deps, request, ticket, underWay)
  } finally {
    // What waits for the log still takes memory, also when the caller was told that it takes too long.
    if (underWay.length === 0) ticket.leave()
    else void Promise.all(underWay).then(() => ticket.leave())
  }
}

type Take = (
  deps: TillIntakeDeps,
  request: TillRequest,
  ticket: Ticket,
  underWay: Promise<unknown>[],
) => Promise<Outcome>

function takerOf({ header }: TillRequest): Take {
  const type = (header('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase()
  const binary = header('ce-specversion') !== undefined
  switch (type) {
    case 'application/json':
      return binary ? jsonTaker((data, { eventType }) => [itemOfHeaders(data, header, eventType)]) : jsonTaker(listOf)
    case 'application/cloudevents+json':
      return takeWhole(async (body, kind) => held([await itemOfStructured(parsedJson(await readText(body)), kind)]))
    case 'application/cloudevents-batch+json':
      return takeWhole(async (body, kind) => {
        const events = listOf(parsedJson(await readText(body)))
        return held(await Promise.all(events.map((event) => itemOfStructured(event, kind))))
      })
    case 'application/cloudevents+avro':
      return takeWhole(async (body, kind) => held([await itemOfAvro(await readBytes(body), kind)]))
    case 'application/avro':
    case 'avro/binary':
      if (binary)
        return takeWhole(async (body, kind) =>
          held([itemOfHeaders(await kind.ofAvro(await readBytes(body)), header, kind.eventType)]),
        )
      break
    case 'application/x-ndjson':
    case 'application/ndjson':
      return takeLines
  }
  throw new LoyaltyError(
    'media_type_unsupported',
    'send Content-Type application/json (one, or an array), application/x-ndjson (one a line), or CloudEvents: ' +
      'application/cloudevents+json, application/cloudevents-batch+json, application/cloudevents+avro, or application/avro ' +
      'with the attributes as headers',
  )
}

function listOf(parsed: unknown): unknown[] {
  return Array.isArray(parsed) ? parsed : [parsed]
}

/** Items of a request, each time as they were at first. */
type Items = () => readonly unknown[]

function held(items: readonly unknown[]): Items {
  return () => items
}

/** The text is what is held of it; understood anew where it has to be looked at again, which is seldom. */
function jsonTaker(itemsOf: (parsed: unknown, kind: ItemKind) => unknown[]): Take {
  return takeWhole(async (body, kind) => {
    const text = await readText(body)
    return () => itemsOf(parsedJson(text), kind)
  })
}

/** For bodies that are read whole before anything in them is understood. */
function takeWhole(itemsOf: (body: AsyncIterable<Buffer>, kind: ItemKind) => Promise<Items>): Take {
  return async ({ door, limits, kind }, request, ticket, underWay) => {
    const items = await itemsOf(readBody(bodyOf(request), limits.json, ticket), kind)
    const bounded = () => {
      const found = items()
      if (found.length <= limits.items) return found
      throw new LoyaltyError(
        'too_many_items',
        `the array has ${found.length} ${kind.noun}s, at most ${limits.items} are taken; send more requests, or NDJSON`,
        { details: { items: found.length, limit: limits.items } },
      )
    }
    const admission = door.admit(bounded, request.principal, await door.programme())
    underWay.push(admission.settled)
    const { verdicts, accepted } = await admission.durable
    const codes: Record<string, number> = {}
    countCodes(verdicts, codes)
    return {
      accepted,
      rejected: verdicts.length - accepted,
      codes,
      verdicts: verdicts.map((verdict, index) => ({ index, verdict })),
    }
  }
}

/** In slices as they come, so that a stream may be longer than memory. */
async function takeLines(
  { kind, door, limits }: TillIntakeDeps,
  request: TillRequest,
  ticket: Ticket,
  underWay: Promise<unknown>[],
): Promise<Outcome> {
  const programme = await door.programme()
  const tally = new LineTally(limits.items, kind.noun)
  let slice: unknown[] = []
  let bytes = 0
  const flush = async () => {
    const items = slice
    const admission = door.admit(() => items, request.principal, programme)
    underWay[0] = admission.settled
    tally.add(await admission.durable)
    ticket.give()
    slice = []
    bytes = 0
  }
  try {
    for await (const line of readLines(readBody(bodyOf(request), limits.ndjson, ticket), limits.line)) {
      if (line.text !== '') slice.push(parsedLine(line.text))
      bytes += line.bytes
      if (slice.length >= limits.items || bytes >= sliceBytes) await flush()
    }
    await flush()
  } catch (error) {
    throw tally.toldIn(error)
  }
  return tally.outcome()
}

const sliceBytes = 4 * 1024 * 1024

class LineTally {
  readonly #most: number
  readonly #noun: string
  readonly #verdicts: { index: number; verdict: ItemVerdict }[] = []
  readonly #codes: Record<string, number> = {}
  #accepted = 0
  #rejected = 0

  constructor(most: number, noun: string) {
    this.#most = most
    this.#noun = noun
  }

  add({ verdicts, accepted }: Admitted): void {
    const first = this.#accepted + this.#rejected
    for (const [i, verdict] of verdicts.entries())
      if (verdict.status === 'rejected' && this.#verdicts.length < this.#most)
        this.#verdicts.push({ index: first + i, verdict })
    countCodes(verdicts, this.#codes)
    this.#accepted += accepted
    this.#rejected += verdicts.length - accepted
  }

  outcome(): Outcome {
    return { accepted: this.#accepted, rejected: this.#rejected, codes: this.#codes, verdicts: this.#verdicts }
  }

  /** An error in the middle, with what the log has already. */
  toldIn(error: unknown): unknown {
    if (!(error instanceof LoyaltyError) || this.#accepted === 0) return error
    const { code, retriable, details } = error
    const told = `${error.message}. ${this.#accepted} ${this.#noun}s before that are in the log; sending all again is safe`
    return new LoyaltyError(code, told, {
      retriable,
      details: { ...details, accepted: this.#accepted, rejected: this.#rejected },
      cause: error,
    })
  }
}

function countCodes(verdicts: readonly ItemVerdict[], codes: Record<string, number>): void {
  for (const verdict of verdicts)
    if (verdict.status === 'rejected') codes[verdict.code] = (codes[verdict.code] ?? 0) + 1
}

function bodyOf({ content, header }: TillRequest) {
  return { content, encoding: header('content-encoding'), length: header('content-length') }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new LoyaltyError('body_malformed', `the body is no JSON: ${messageOf(cause)}`, { cause })
  }
}

function parsedLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    return new RefusedItem({ code: 'bad_json', field: null, message: `the line is no JSON: ${messageOf(cause)}` })
  }
}
