import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Classifier } from '#streams/classifier/classifier.ts'
import { fileClassifierLoader, readModelCard } from '#streams/classifier/file-classifier-loader.ts'
import { openOnnxClassifier } from '#streams/classifier/onnx-classifier.ts'
import { sizedClassifier } from '#streams/classifier/sized-classifier.ts'

const directory = join(import.meta.dirname, '../../../models')
const card = await readModelCard(directory, { id: 'rfm-lightgbm', version: '1' })
const bytes = await readFile(join(directory, card.id, card.version, 'model.onnx'))
const rowsOf = (count: number) =>
  Float32Array.from({ length: count * card.features.length }, (_, i) => (i * 7_919) % 401)

it('a few rows are classified here, more of them aside', async () => {
  const asked: string[] = []
  const named = async (name: string): Promise<Classifier> => {
    const classifier = await openOnnxClassifier(card, bytes)
    return {
      ...{ model: classifier.model, features: classifier.features, segments: classifier.segments },
      classify(rows, count) {
        asked.push(`${name} ${count}`)
        return classifier.classify(rows, count)
      },
      async close() {
        asked.push(`${name} closed`)
        await classifier.close()
      },
    }
  }
  const classifier = sizedClassifier(await named('here'), await named('aside'), 10)
  for (const count of [0, 10, 11]) await classifier.classify(rowsOf(count), count)
  await classifier.close()
  expect(asked).toEqual(['here 0', 'here 10', 'aside 11', 'here closed', 'aside closed'])
})

it('a threaded model answers the same whatever the number of rows', async () => {
  const loader = fileClassifierLoader({ directory, threaded: true })
  const threaded = await loader.load(card)
  const single = await openOnnxClassifier(card, bytes)
  for (const count of [1, 256, 257, 2_000])
    expect(await threaded.classify(rowsOf(count), count)).toEqual(await single.classify(rowsOf(count), count))
  await threaded.close()
  await expect(threaded.classify(rowsOf(1), 1)).rejects.toMatchObject({ code: 'classifier_failed' })
  await single.close()
})
