import { z } from '@hono/zod-openapi'
import { deadLetterReasons } from '#schemas/dead-letter.ts'
import { attemptOf, idOf, idPattern, keyText, type Letter } from './letter.ts'

/** Which dead letters are meant. */

const instant = z.iso.datetime({ offset: true, error: 'must be ISO 8601 with seconds and zone' })

export const selectorFields = {
  id: z.array(z.string().regex(idPattern, 'is no id of a dead letter, such as 3:128')).min(1).max(1_000),
  reason: z.array(z.enum(deadLetterReasons)).min(1),
  source: z.array(z.string().nullable()).min(1).max(100).describe('pos:<system>, upload:<id>; null: cannot be read'),
  schema_id: z.array(z.int().min(0).nullable()).min(1).max(100).describe('id in the frame of the value; null: none'),
  client_id: z.array(z.string()).min(1).max(1_000).describe('client of the transaction, or key of the record'),
  arrived_from: instant.describe('arrival of the record that was refused'),
  arrived_before: instant,
  came_back_from: z.uuid().describe('a replay: what came back from it as new letters'),
}

export const letterFilter = z.strictObject(selectorFields).partial()

export type LetterFilter = z.output<typeof letterFilter>

/** A filter for what changes something: every letter is meant only where that is said. */
export const letterSelector = z
  .strictObject({ ...selectorFields, all: z.literal(true).describe('every open letter') })
  .partial()
  .refine((selector) => Object.keys(selector).length > 0, 'say which letters: a field at least, or "all": true')
  .openapi('DeadLetterSelector')

export type LetterSelector = z.output<typeof letterSelector>

type Test = (letter: Letter) => boolean

/** True for the letters that every field of the selector allows. */
export function matcherOf(selector: LetterFilter): Test {
  const tests: Test[] = []
  const among = <T>(allowed: readonly T[] | undefined, told: (letter: Letter) => T) => {
    if (allowed === undefined) return
    const set = new Set(allowed)
    tests.push((letter) => set.has(told(letter)))
  }
  among(selector.reason, ({ about }) => about.reason)
  among(selector.schema_id, ({ about }) => about.schemaId)
  among(selector.source, ({ summary }) => summary?.source ?? null)
  among(selector.id, idOf)
  if (selector.client_id !== undefined) {
    const clients = new Set<string | null>(selector.client_id)
    tests.push((letter) => clients.has(keyText(letter)) || clients.has(letter.summary?.clientId ?? null))
  }
  const { arrived_from: from, arrived_before: before, came_back_from: action } = selector
  if (from !== undefined) tests.push(({ about }) => about.timestampMs >= Date.parse(from))
  if (before !== undefined) tests.push(({ about }) => about.timestampMs < Date.parse(before))
  if (action !== undefined) tests.push((letter) => attemptOf(letter) > 1 && letter.replay?.action === action)
  return (letter) => tests.every((test) => test(letter))
}

/** Offsets of one partition, `to` not among them. */
export interface LetterRange {
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** The parts of the topic that can hold what is selected: letters named by id are not looked for elsewhere. */
export function rangesOf(selector: LetterFilter, starts: readonly number[], ends: readonly number[]): LetterRange[] {
  const whole = ends.map((to, partition) => ({ partition, from: starts[partition] ?? 0, to }))
  if (selector.id === undefined) return whole.filter(({ from, to }) => from < to)
  const places = selector.id.map((id) => id.split(':').map(Number) as [number, number])
  return whole.flatMap(({ partition, from, to }) => {
    const offsets = places.filter(([place]) => place === partition).map(([, offset]) => offset)
    const range = {
      partition,
      from: Math.max(from, Math.min(...offsets)),
      to: Math.min(to, Math.max(...offsets) + 1),
    }
    return range.from < range.to ? [range] : []
  })
}
