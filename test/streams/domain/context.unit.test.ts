import { describe, expect, it } from 'vitest'
import { dayOfIso } from '#streams/domain/calendar.ts'
import { contextAt, evolve, initialContext } from '#streams/domain/context.ts'
import { contextOf } from './scenario.ts'

const date = dayOfIso('2024-03-01')
const model = { id: 'm', version: '1', sha256: 'a' }

describe('context', () => {
  it('keeps the newest date, in whatever order dates come', () => {
    const context = contextOf(date)
    expect(evolve(context, { type: 'day_started', day: date })).toBe(context)
    expect(evolve(context, { type: 'day_started', day: date - 1 })).toBe(context)
    expect(evolve(context, { type: 'day_started', day: date + 1 }).asOf.date).toBe(date + 1)
  })

  it('is configured once', () => {
    const context = contextOf(date)
    const programme = { ...context.programme!, currency: 'GBP' }
    expect(evolve(context, { type: 'programme_configured', programme })).toBe(context)
  })

  it('is the same object where cut-points or model stay as they are', () => {
    const context = evolve(contextOf(date), { type: 'model_activated', model })
    expect(evolve(context, { type: 'model_activated', model: { ...model } })).toBe(context)
    expect(evolve(context, { type: 'model_activated', model: { ...model, version: '2' } }).model?.version).toBe('2')
    const cutPoints = context.cutPoints!
    expect(evolve(context, { type: 'cut_points_published', cutPoints: { ...cutPoints } })).toBe(context)
    const gross = { ...cutPoints, basis: 'gross' } as const
    expect(evolve(context, { type: 'cut_points_published', cutPoints: gross }).cutPoints).toBe(gross)
  })

  it('ends its date and begins its windows at midnights of the programme', () => {
    const { asOf } = contextOf(date)
    // Moscow, three hours east.
    expect(asOf.endMs).toBe(Date.UTC(2024, 2, 1, 21))
    expect(asOf.from30Ms).toBe(Date.UTC(2024, 0, 31, 21))
    expect(contextAt(contextOf(date), date - 1).asOf.endMs).toBe(Date.UTC(2024, 1, 29, 21))
  })

  it('lays a date that came before the configuration into the right zone', () => {
    const early = evolve(initialContext(), { type: 'day_started', day: date })
    const configured = evolve(early, { type: 'programme_configured', programme: contextOf(null).programme! })
    expect(configured.asOf).toEqual(contextOf(date).asOf)
  })
})
