import { setTimeout as sleep } from 'node:timers/promises'
import { decodeReplayHeaders, encodeReplayHeaders } from '#schemas/dead-letter.ts'
import { missingForMs } from '#schemas/decoder.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import { registerAll } from '#schemas/registry.ts'
import type { LogWriter, NewRecord } from '#streams/log/log.ts'
import { readRange } from '#streams/log/range.ts'
import { untilDecided } from '../completion.ts'
import type { Control } from '../control.ts'
import type { IngestCrashHook } from '../crash.ts'
import { inTransaction } from '../store/transaction.ts'
import { UndoStore } from '../store/undos.ts'
import type { GenerationFence } from '../undo/fence.ts'
import { Judge, type Verdict } from './judge.ts'
import { attemptOf, idOf } from './letter.ts'
import { ActionMarks } from './marks.ts'
import { programmeOf } from './programme.ts'
import { type KnownLetter, letterBounds, type ScanDeps, scanLetters } from './scan.ts'
import { type LetterRange, matcherOf, rangesOf } from './selector.ts'
import type { Action, ActionStore } from './store.ts'
import { countVerdict, type Tally } from './tally.ts'

export interface ActionJobDeps extends ScanDeps {
  readonly control: Control
  readonly store: ActionStore
  readonly crash: IngestCrashHook
  /** Of receipts that were taken back; default: none was. */
  readonly fence?: GenerationFence | undefined
  /** How long processors may hold that a schema is unknown; default: what their decoders do. */
  readonly unknownForMs?: number | undefined
  /** Hears the share done, 0 to 1. */
  readonly onProgress?: ((action: Action, share: number) => void) | undefined
  /** Hears of each durable append. */
  readonly onAppended?: ((records: number) => void) | undefined
}

const sliceRecords = 2_000
const sliceBytes = 4 * 1024 * 1024
/** Letters passed over without one that is meant, after which the place is noted nevertheless. */
const passedLetters = 50_000

type Replayed = Extract<Verdict, { kind: 'replay' }>

/**
 * The work on one action: letter after letter in the order of their offsets, in slices that are appended first and marked
 * then, together with the place. What a killed attempt appended and did not mark is found in the log by its headers.
 */
export class ActionJob {
  readonly #deps: ActionJobDeps
  readonly #action: Action
  readonly #signal: AbortSignal
  readonly #tally: Tally
  readonly #marks: ActionMarks
  readonly #next: number[]
  readonly #publishedFrom: number[]
  #slice: { readonly letter: string; readonly partition: number; readonly record: NewRecord }[] = []
  #sliceBytes = 0
  #unsaved = 0
  #waitedForProcessors = false

  constructor(deps: ActionJobDeps, action: Action, signal: AbortSignal) {
    this.#deps = deps
    this.#action = action
    this.#signal = signal
    this.#tally = structuredClone(action.tally)
    this.#marks = new ActionMarks(action.actionId)
    this.#next = [...(action.checkpoint?.next ?? action.starts)]
    this.#publishedFrom = [...(action.checkpoint?.publishedFrom ?? [])]
  }

  /** Errors: `programme_missing`, `generations_lost`, those of the log, the registry and the database. */
  async run(): Promise<Tally> {
    const { actionId, selector, ends } = this.#action
    const { log, topics, store, pool } = this.#deps
    if (this.#publishedFrom.length === 0) {
      this.#publishedFrom.push(...(await log.admin.endOffsets(topics.transactions)))
      await store.save(pool, actionId, this.#checkpoint(), this.#tally)
    }
    const published = await this.#alreadyPublished()
    const judge = await this.#judge()
    const writer = log.writer()
    try {
      const { starts } = await letterBounds(this.#deps)
      const from = this.#next.map((next, partition) => Math.max(next, starts[partition] ?? 0))
      for (const range of rangesOf(selector, from, ends)) await this.#pass(range, judge, published, writer)
      await this.#flush(published, writer)
    } finally {
      await writer.close()
    }
    return this.#tally
  }

  async #judge(): Promise<Judge | null> {
    const { kind, rule } = this.#action
    if (kind === 'discard') return null
    const { log, registry, topics, control, fence, pool } = this.#deps
    await fence?.catchUp()
    const { TransactionRecorded: schemaId } = await registerAll(registry, topics, ['TransactionRecorded'])
    const encoder = new EventEncoder('TransactionRecorded', schemaId)
    const undone = new Set(await new UndoStore(pool).decidedBatches())
    const programme = await programmeOf(control)
    return new Judge({ log, registry, encoder, programme, rule, generations: fence?.generations, undone })
  }

  /** Letters that an attempt before this one replayed, and was killed before it had marked them: a slice at most. */
  async #alreadyPublished(): Promise<Set<string>> {
    const published = new Set<string>()
    if (this.#action.attempts === 1 || this.#action.kind === 'discard') return published
    const { log, topics } = this.#deps
    await untilDecided(log, topics.transactions, this.#signal)
    const ends = await log.admin.endOffsets(topics.transactions)
    for (const [partition, end] of ends.entries())
      for await (const { records } of readRange(
        log,
        topics.transactions,
        partition,
        this.#publishedFrom[partition] ?? 0,
        end,
      ))
        for (const { headers } of records) {
          const replay = decodeReplayHeaders(headers)
          if (replay?.action === this.#action.actionId) published.add(replay.of)
        }
    return published
  }

  async #pass(range: LetterRange, judge: Judge | null, published: Set<string>, writer: LogWriter): Promise<void> {
    const matches = matcherOf(this.#action.selector)
    for await (const { letters, nextOffset } of scanLetters(this.#deps, range)) {
      this.#signal.throwIfAborted()
      for (const letter of letters) {
        if (letter.mark === null && matches(letter)) await this.#take(letter, judge)
        this.#next[range.partition] = letter.offset + 1
        if (this.#isSliceFull()) await this.#flush(published, writer)
      }
      this.#next[range.partition] = nextOffset
      this.#unsaved += letters.length
      if (this.#unsaved > passedLetters) await this.#flush(published, writer)
    }
  }

  async #take(letter: KnownLetter, judge: Judge | null): Promise<void> {
    const { partition, offset } = letter
    if (judge === null) {
      this.#tally.selected++
      this.#tally.discarded++
    } else {
      const verdict = await judge.judge(letter)
      countVerdict(this.#tally, verdict)
      if (verdict.kind === 'left') return
      await this.#add(letter, verdict)
    }
    await this.#marks.open(this.#deps.pool, partition, offset)
    this.#marks.add(partition, offset)
    this.#unsaved++
  }

  async #add(letter: KnownLetter, { partition, key, value, schemaWasUnknown }: Replayed): Promise<void> {
    if (schemaWasUnknown) await this.#untilSchemaIsKnown()
    const replay = { of: idOf(letter), action: this.#action.actionId, attempt: attemptOf(letter) + 1 }
    // Copies: a slice outlives the fetch and the encoder's memory.
    const record = {
      key: Uint8Array.from(key),
      value: Uint8Array.from(value),
      headers: encodeReplayHeaders(replay),
    }
    this.#slice.push({ letter: replay.of, partition, record })
    this.#sliceBytes += value.length
  }

  /**
   * A schema that was registered a moment ago may be one that processors still hold to be unknown: they would refuse the
   * letters again. By now every one of them will ask anew once that time is over.
   */
  async #untilSchemaIsKnown(): Promise<void> {
    if (this.#waitedForProcessors) return
    await sleep(this.#deps.unknownForMs ?? missingForMs + 1_000, undefined, { signal: this.#signal })
    this.#waitedForProcessors = true
  }

  #isSliceFull(): boolean {
    return this.#slice.length >= sliceRecords || this.#sliceBytes >= sliceBytes
  }

  /** Appends the slice, then marks its letters and notes the place, in one transaction. */
  async #flush(published: Set<string>, writer: LogWriter): Promise<void> {
    this.#signal.throwIfAborted()
    await this.#append(
      this.#slice.filter(({ letter }) => !published.has(letter)),
      writer,
    )
    const { pool, store } = this.#deps
    await inTransaction(pool, async (client) => {
      await this.#marks.save(client)
      await store.save(client, this.#action.actionId, this.#checkpoint(), this.#tally)
    })
    this.#marks.saved()
    this.#slice = []
    this.#sliceBytes = 0
    this.#unsaved = 0
    this.#deps.onProgress?.(this.#action, shareOf(this.#action, this.#next))
  }

  async #append(slice: readonly { partition: number; record: NewRecord }[], writer: LogWriter): Promise<void> {
    if (slice.length === 0) return
    const { topics, crash, onAppended } = this.#deps
    const appends = [...Map.groupBy(slice, ({ partition }) => partition)].map(async ([partition, records]) => {
      const first = await writer.append(
        topics.transactions,
        partition,
        records.map(({ record }) => record),
      )
      this.#publishedFrom[partition] = first + records.length
    })
    // All are waited for: none may still be under way when the next slice is.
    for (const outcome of await Promise.allSettled(appends)) if (outcome.status === 'rejected') throw outcome.reason
    onAppended?.(slice.length)
    crash('inside-replay')
  }

  #checkpoint() {
    return { next: this.#next, publishedFrom: this.#publishedFrom }
  }
}

/** How much of its letters an action has passed, 0 to 1. */
export function shareOf({ starts, ends }: Action, next: readonly number[]): number {
  let total = 0
  let passed = 0
  ends.forEach((end, partition) => {
    const start = starts[partition] ?? 0
    total += Math.max(0, end - start)
    passed += Math.max(0, Math.min(end, next[partition] ?? start) - start)
  })
  return total === 0 ? 1 : passed / total
}
