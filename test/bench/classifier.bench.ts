import { join } from 'node:path'
import type { Classifier } from '#streams/classifier/classifier.ts'
import { fileClassifierLoader, listModelCards } from '#streams/classifier/file-classifier-loader.ts'
import { type Bench, coreMs, perSecond } from './bench.ts'

const models = join(import.meta.dirname, '../../models')
const windowMs = 600

/** The default model on one thread, in batches as a step makes them and at batch 256. */
export const classifierBench: Bench = {
  name: 'classifier',
  about: 'rows/s of the default model on one thread',
  async run({ say, onEnd }) {
    const card = (await listModelCards(models)).at(-1)!
    const classifier = await fileClassifierLoader({ directory: models }).load(card)
    onEnd(() => classifier.close())
    const figures: Record<string, number> = {}
    for (const rows of [16, 256, 4_096]) {
      const features = rowsOf(rows, classifier.features.length)
      await classifier.classify(features, rows)
      const windows: number[] = []
      for (let window = 0; window < 5; window++) windows.push(await rateOf(classifier, features, rows))
      // The best of the windows: whatever else runs on the machine only takes away.
      figures[`rows_per_second_batch_${rows}`] = Math.max(...windows)
      say(`batch ${rows}: ${figures[`rows_per_second_batch_${rows}`]} rows/s`)
    }
    return { model: `${card.id}/${card.version}`, ...figures }
  },
}

async function rateOf(classifier: Classifier, features: Float32Array, rows: number): Promise<number> {
  let classified = 0
  const start = coreMs()
  while (coreMs() - start < windowMs) {
    await classifier.classify(features, rows)
    classified += rows
  }
  return perSecond(classified, coreMs() - start)
}

/** Values between 0 and 400 with a long tail: days, counts and sums alike, so that every branch of a tree is taken. */
function rowsOf(rows: number, width: number): Float32Array {
  let state = 12_345
  return Float32Array.from({ length: rows * width }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return 400 * (state / 4_294_967_296) ** 3 * (state % 7 === 0 ? 1_000 : 1)
  })
}
