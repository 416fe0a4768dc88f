import { randomUUID } from 'node:crypto'
import { z } from '@hono/zod-openapi'
import { decoderOf } from '#schemas/decoder.ts'
import { EventEncoder } from '#schemas/encoder.ts'
import type { TransactionRecorded } from '#schemas/events.ts'
import { registerAll } from '#schemas/registry.ts'
import { LoyaltyError } from '#streams/core/error.ts'
import type { LogRecord } from '#streams/log/log.ts'
import { readFirst } from '#streams/log/range.ts'
import type { Control } from '../control.ts'
import { UndoStore } from '../store/undos.ts'
import type { GenerationFence } from '../undo/fence.ts'
import { Grouper, type Grouping } from './groups.ts'
import { Judge, type LeftReason } from './judge.ts'
import { idOf, LetterReader, parseId } from './letter.ts'
import { readMarks } from './marks.ts'
import { type LetterPage, newestLetters, type PageOptions } from './page.ts'
import { programmeOf } from './programme.ts'
import { checkRule, type MendingRule } from './rule.ts'
import { type KnownLetter, type LetterState, letterBounds, type ScanDeps, scanLetters, stateOf } from './scan.ts'
import { type LetterFilter, type LetterSelector, matcherOf, rangesOf } from './selector.ts'
import type { Action, ActionOrder, ActionStore } from './store.ts'
import { countVerdict, emptyTally, notOpenOf, type Tally } from './tally.ts'
import { underSchema, wholeValue } from './value.ts'

export interface DeadLettersDeps extends ScanDeps {
  readonly control: Control
  readonly store: ActionStore
  /** Of receipts that were taken back; default: none was. */
  readonly fence?: GenerationFence | undefined
}

/** A letter that would be left as it is. */
export interface LeftExample {
  readonly id: string
  readonly why: LeftReason
  readonly detail: string
}

export interface Preview {
  readonly tally: Tally
  /** As `notOpenOf`. */
  readonly notOpen: number | null
  /** The first few of each kind. */
  readonly examples: readonly LeftExample[]
}

export interface WholeLetter {
  readonly letter: KnownLetter
  /** Null where the value cannot be decoded. */
  readonly event: TransactionRecorded | null
  /** Why it cannot. */
  readonly undecodable: string | null
}

export interface ReadOptions {
  /** Hears the share of the letters read, 0 to 1. */
  readonly onProgress?: (share: number) => void
}

const examplesOfEach = 5

/** What can be asked and ordered about dead letters; the work on orders is the runner's. */
export class DeadLetters {
  readonly #deps: DeadLettersDeps

  constructor(deps: DeadLettersDeps) {
    this.#deps = deps
  }

  get store(): ActionStore {
    return this.#deps.store
  }

  /** Letters by reason, source and schema; of one state, or of any. Errors: those of `scanLetters`. */
  async groups(filter: LetterFilter, state: LetterState | null, options: ReadOptions = {}): Promise<Grouping> {
    const grouper = new Grouper()
    const matches = matcherOf(filter)
    const { starts, ends } = await letterBounds(this.#deps)
    await this.#each(
      filter,
      starts,
      ends,
      options,
      (letter) => {
        if (matches(letter) && (state === null || stateOf(letter) === state)) grouper.add(letter)
      },
      (unreadable) => {
        grouper.unreadable += unreadable
      },
    )
    return grouper.result()
  }

  page(options: PageOptions): Promise<LetterPage> {
    return newestLetters(this.#deps, options)
  }

  /**
   * One letter with its value decoded, by another schema than its frame names if one is given. Errors:
   * `dead_letter_not_found`; `registry_unavailable`.
   */
  async show(id: string, schemaId: number | null = null): Promise<WholeLetter> {
    const { log, topics, registry, pool } = this.#deps
    const place = parseId(id)
    const record = place === null ? null : await this.#record(place)
    const letter = record === null ? null : await new LetterReader(registry).read(record, place!.partition)
    if (place === null || letter === null)
      throw new LoyaltyError(
        'dead_letter_not_found',
        `there is no dead letter ${id} in ${topics.deadLetters}; it may be older than letters are kept`,
        {
          details: { id },
        },
      )
    const marks = await readMarks(pool, place.partition, place.offset, place.offset + 1)
    const decoder = decoderOf(registry, 'TransactionRecorded')
    const whole = await wholeValue(log, letter)
    const value = whole === 'gone' ? letter.value : whole
    const decoded = await decoder.read(value === null || schemaId === null ? value : underSchema(value, schemaId))
    const known = { ...letter, mark: marks.of(place.offset) }
    if (decoded.kind === 'ok') return { letter: known, event: decoded.event, undecodable: null }
    const why = decoded.kind === 'undecodable' ? decoded.detail : `the registry has no schema ${decoded.schemaId}`
    return { letter: known, event: null, undecodable: why }
  }

  /**
   * What a replay would come to, without doing anything; with a rule, after mending. Whether a transaction then counts, or
   * is known already, only the stream can say. Errors: `rule_invalid`, `programme_missing`, `generations_lost`; those of
   * `scanLetters`.
   */
  async preview(selector: LetterSelector, rule: MendingRule | null, options: ReadOptions = {}): Promise<Preview> {
    const { log, registry, topics, control, fence, pool } = this.#deps
    const programme = await programmeOf(control)
    await fence?.catchUp()
    if (rule !== null) await checkRule(rule, programme, registry)
    const { TransactionRecorded: schemaId } = await registerAll(registry, topics, ['TransactionRecorded'])
    const judge = new Judge({
      log,
      registry,
      encoder: new EventEncoder('TransactionRecorded', schemaId),
      programme,
      rule,
      generations: fence?.generations,
      undone: new Set(await new UndoStore(pool).decidedBatches()),
    })
    const tally = emptyTally()
    const examples: LeftExample[] = []
    const matches = matcherOf(selector)
    const { starts, ends } = await letterBounds(this.#deps)
    await this.#each(selector, starts, ends, options, async (letter) => {
      if (letter.mark !== null || !matches(letter)) return
      const verdict = await judge.judge(letter)
      countVerdict(tally, verdict)
      if (verdict.kind === 'left' && tally.left[verdict.why]! <= examplesOfEach)
        examples.push({ id: idOf(letter), why: verdict.why, detail: verdict.detail })
    })
    return { tally, notOpen: notOpenOf(selector, tally), examples }
  }

  /**
   * Orders a replay of the open letters that are there now. Errors: `rule_invalid`, `programme_missing`,
   * `generations_lost`.
   */
  async orderReplay(selector: LetterSelector, rule: MendingRule | null, orderedBy: string | null): Promise<Action> {
    await this.#deps.fence?.catchUp()
    const programme = await programmeOf(this.#deps.control)
    if (rule !== null) await checkRule(rule, programme, this.#deps.registry)
    return this.#order({ kind: 'replay', selector, rule, reason: null, orderedBy })
  }

  /** Orders that the open letters that are there now are put aside for good, and why. */
  orderDiscard(selector: LetterSelector, reason: string, orderedBy: string | null): Promise<Action> {
    return this.#order({ kind: 'discard', selector, rule: null, reason, orderedBy })
  }

  /** Errors: `dead_letter_action_not_found`. */
  async action(actionId: string): Promise<Action> {
    const action = z.uuid().safeParse(actionId).success ? await this.#deps.store.action(actionId) : null
    if (action !== null) return action
    throw new LoyaltyError('dead_letter_action_not_found', `there is no action ${actionId} on dead letters`, {
      details: { actionId },
    })
  }

  async #order(order: Omit<ActionOrder, 'actionId' | 'starts' | 'ends'>): Promise<Action> {
    return this.#deps.store.create({ ...order, actionId: randomUUID(), ...(await letterBounds(this.#deps)) })
  }

  async #record({ partition, offset }: { partition: number; offset: number }): Promise<LogRecord | null> {
    const { starts, ends } = await letterBounds(this.#deps)
    const [start, end] = [starts[partition], ends[partition]]
    if (start === undefined || end === undefined || offset < start || offset >= end) return null
    return readFirst(this.#deps.log, this.#deps.topics.deadLetters, partition, offset, offset + 1)
  }

  async #each(
    filter: LetterFilter,
    starts: readonly number[],
    ends: readonly number[],
    { onProgress }: ReadOptions,
    take: (letter: KnownLetter) => Promise<void> | void,
    onUnreadable: (records: number) => void = () => {},
  ): Promise<void> {
    const ranges = rangesOf(filter, starts, ends)
    const total = ranges.reduce((sum, { from, to }) => sum + to - from, 0)
    let passed = 0
    for (const range of ranges) {
      for await (const { letters, unreadable, nextOffset } of scanLetters(this.#deps, range)) {
        for (const letter of letters) await take(letter)
        onUnreadable(unreadable)
        onProgress?.((passed + Math.min(nextOffset, range.to) - range.from) / total)
      }
      passed += range.to - range.from
    }
  }
}
