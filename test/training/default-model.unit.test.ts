import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { parseModelCard } from '#streams/classifier/model-card.ts'
import { dayOfIso } from '#streams/domain/calendar.ts'
import { featureNames } from '#streams/domain/features.ts'
import { segmentIds } from '#streams/domain/segments.ts'

const root = join(import.meta.dirname, '../..')
const card = parseModelCard(readFileSync(join(root, 'models/rfm-lightgbm/1/card.json'), 'utf8'), 'card.json')

const classes = z.record(z.string(), z.object({ precision: z.number(), recall: z.number(), f1: z.number() }))
const segment = z.object({ macro_f1: z.number(), macro_f1_buyers_outcomes: z.number(), classes })
const buys = z.object({ auc: z.number(), log_loss: z.number(), classes })
const metrics = z
  .object({
    holdout: z.object({ train_cuts: z.array(z.iso.date()), test_cuts: z.array(z.iso.date()) }),
    segment: z.object({ model: segment, recency_only: segment, majority: segment }),
    buys: z.object({ model: buys, recency_only: buys, majority: buys }),
  })
  .parse(card.metrics)
const training = z.object({ cuts: z.array(z.iso.date()), horizon_days: z.number() }).parse(card.training)

describe('the card of the default model', () => {
  it('names only features and segments of the domain, and every segment', () => {
    expect(card.features.filter((name) => !featureNames.includes(name))).toEqual([])
    expect([...card.segments].sort()).toEqual([...segmentIds].sort())
  })

  it('reports a hold-out whose training labels end before its features do', () => {
    const { train_cuts, test_cuts } = metrics.holdout
    expect(train_cuts[0]).toBe('2011-03-01')
    expect(train_cuts.at(-1)).toBe('2011-06-11')
    expect(test_cuts).toEqual(['2011-09-10'])
    expect(dayOfIso(train_cuts.at(-1)!) + training.horizon_days).toBeLessThan(dayOfIso(test_cuts[0]!))
  })

  it('comes from the cuts that training/cuts.txt lists', () => {
    const cuts = readFileSync(join(root, 'training/cuts.txt'), 'utf8').trim().split(',')
    expect(training.cuts).toEqual(cuts)
  })

  it('reports both ensembles per class, better than recency alone and than the majority', () => {
    for (const baseline of ['recency_only', 'majority'] as const) {
      expect(metrics.segment.model.macro_f1).toBeGreaterThan(metrics.segment[baseline].macro_f1)
      expect(metrics.segment.model.macro_f1_buyers_outcomes).toBeGreaterThan(
        metrics.segment[baseline].macro_f1_buyers_outcomes,
      )
      expect(metrics.buys.model.auc).toBeGreaterThan(metrics.buys[baseline].auc)
      expect(metrics.buys.model.log_loss).toBeLessThan(metrics.buys[baseline].log_loss)
    }
    expect(Object.keys(metrics.segment.model.classes)).toEqual(card.segments)
    expect(Object.keys(metrics.buys.model.classes)).toEqual(['does_not_buy', 'buys'])
  })
})

describe('training', () => {
  it('pins every library it needs', () => {
    const lines = readFileSync(join(root, 'training/requirements.txt'), 'utf8').split('\n')
    const needed = lines.filter((line) => line !== '' && !line.startsWith('#'))
    expect(needed.length).toBeGreaterThan(4)
    expect(needed.filter((line) => !/^[a-z0-9-]+==\d+(\.\d+)+$/.test(line))).toEqual([])
  })
})
