import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Classifier } from '#streams/classifier/classifier.ts'
import { type ModelCard, parseModelCard } from '#streams/classifier/model-card.ts'
import { openOnnxClassifier } from '#streams/classifier/onnx-classifier.ts'
import { openThreadedClassifier } from '#streams/classifier/threaded-classifier.ts'

const directory = join(import.meta.dirname, '../../../models/rfm-lightgbm/1')
const bytes = readFileSync(join(directory, 'model.onnx'))
const card = parseModelCard(readFileSync(join(directory, 'card.json'), 'utf8'), 'card.json')

/** Rows with the answers of LightGBM in Python, written by training/train.py. */
const vectors = JSON.parse(readFileSync(join(import.meta.dirname, 'rfm-lightgbm-1.vectors.json'), 'utf8')) as {
  sha256: string
  features: string[]
  rows: number[][]
  probabilities: number[][]
  score: number[]
}

describe.each([
  { where: 'on the thread of its caller', openClassifier: openOnnxClassifier },
  { where: 'on a thread of its own', openClassifier: openThreadedClassifier },
])('the default model, $where,', ({ openClassifier }) => {
  let classifier: Classifier
  beforeAll(async () => {
    classifier = await openClassifier(card, bytes)
  })
  afterAll(() => classifier.close())

  const width = card.features.length
  const rows = Float32Array.from(vectors.rows.flat())
  const count = vectors.rows.length

  it('is the one that the vectors were made with', () => {
    expect(vectors.sha256).toBe(card.sha256)
    expect(vectors.features).toEqual(card.features)
  })

  it('agrees with LightGBM in Python to 1e-5 in every probability', async () => {
    const { probabilities } = await classifier.classify(rows, count)
    const worst = Math.max(...vectors.probabilities.flat().map((p, i) => Math.abs(p - probabilities[i]!)))
    expect(worst).toBeLessThanOrEqual(1e-5)
  })

  it('labels a row with its most probable segment and scores it with the chance to buy, as a whole percentage', async () => {
    const { segmentIndex, score } = await classifier.classify(rows, count)
    const expected = vectors.probabilities.map((row) => row.indexOf(Math.max(...row)))
    expect([...segmentIndex]).toEqual(expected)
    vectors.score.forEach((chance, i) => {
      expect(Math.abs(score[i]! - chance * 100)).toBeLessThanOrEqual(0.5 + 1e-3)
    })
    expect(new Set(segmentIndex).size).toBe(card.segments.length)
  })

  it('answers bit by bit the same whatever the size of the batch', async () => {
    const repeated = 700
    const many = new Float32Array(repeated * width)
    for (let i = 0; i < repeated; i++)
      many.set(rows.subarray((i % count) * width, ((i % count) + 1) * width), i * width)
    const together = await classifier.classify(many, repeated)
    for (let i = 0; i < count; i++) {
      const alone = await classifier.classify(rows.slice(i * width, (i + 1) * width), 1)
      const at = i + (i + count < repeated ? count : 0)
      expect(together.score[at]).toBe(alone.score[0])
      expect(together.segmentIndex[at]).toBe(alone.segmentIndex[0])
      const classes = card.segments.length
      expect(together.probabilities.slice(at * classes, (at + 1) * classes)).toEqual(alone.probabilities)
    }
  })

  it('keeps concurrent calls apart', async () => {
    const halves = [rows.slice(0, 10 * width), rows.slice(10 * width, 20 * width)] as const
    const [first, second] = await Promise.all(halves.map((half) => classifier.classify(half, 10)))
    const all = await classifier.classify(rows.slice(0, 20 * width), 20)
    expect([...first!.score, ...second!.score]).toEqual([...all.score])
  })

  it('answers nothing for no rows', async () => {
    const none = await classifier.classify(new Float32Array(0), 0)
    expect(none.segmentIndex).toHaveLength(0)
  })

  it.each([
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['minus infinity', Number.NEGATIVE_INFINITY],
  ])('refuses a row with %s and names row and feature', async (_, bad) => {
    const three = rows.slice(0, 3 * width)
    three[2 * width + 1] = bad
    await expect(classifier.classify(three, 3)).rejects.toMatchObject({
      code: 'classifier_bad_input',
      details: { row: 2, feature: card.features[1] },
    })
  })

  it('refuses rows of another width', async () => {
    await expect(classifier.classify(new Float32Array(2 * width + 1), 2)).rejects.toMatchObject({
      code: 'classifier_bad_input',
    })
  })

  it('cannot be used after it was closed, and may be closed twice', async () => {
    const other = await openClassifier(card, bytes)
    await other.close()
    await other.close()
    await expect(other.classify(rows, count)).rejects.toMatchObject({ code: 'classifier_failed' })
  })
})

describe('a model that is not what its card says', () => {
  const wrong: [check: string, card: Partial<ModelCard>][] = [
    ['features', { features: [...card.features, 'shoe_size'] }],
    ['input', { input: 'X' }],
    ['outputs', { outputs: { ...card.outputs, score: 'loyalty' } }],
    ['output_type', { outputs: { ...card.outputs, label: card.outputs.score } }],
    ['probe', { segments: card.segments.slice(1) }],
    ['probe', { outputs: { ...card.outputs, probabilities: card.outputs.score } }],
  ]

  it.each(wrong)('is refused by the check %s', async (check, more) => {
    await expect(openOnnxClassifier({ ...card, ...more }, bytes)).rejects.toMatchObject({
      code: 'model_refused',
      retriable: false,
      details: { check },
    })
  })

  it('is refused where the file is no ONNX at all', async () => {
    await expect(openOnnxClassifier(card, Buffer.from('not a model'))).rejects.toMatchObject({
      code: 'model_refused',
      details: { check: 'load' },
    })
  })
})
