import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Classifier } from '#streams/classifier/classifier.ts'
import { readModelCard } from '#streams/classifier/file-classifier-loader.ts'
import type { ModelCard } from '#streams/classifier/model-card.ts'
import { openOnnxClassifier } from '#streams/classifier/onnx-classifier.ts'
import { openThreadedClassifier, type StartThread } from '#streams/classifier/threaded-classifier.ts'

const models = join(import.meta.dirname, '../../../models')
const thread = new URL('../../../streams/classifier/onnx-thread.ts', import.meta.url)

describe('a classifier on a thread of its own', () => {
  let card: ModelCard
  let bytes: Uint8Array
  let classifier: Classifier
  let threads: Worker[]
  const start: StartThread = (...[model, file]) => {
    const worker = new Worker(thread, { workerData: { card: model, bytes: file } })
    threads.push(worker)
    return worker
  }
  /** A thread that says it is ready and never answers: what it was asked stays under way for as long as it lives. */
  const silent: StartThread = () => {
    const script = `const { parentPort } = require('node:worker_threads')
      parentPort.on('message', () => {})
      parentPort.postMessage({ kind: 'ready' })`
    const worker = new Worker(script, { eval: true })
    threads.push(worker)
    return worker
  }
  const rowsOf = (count: number) =>
    Float32Array.from({ length: count * card.features.length }, (_, i) => (i * 7_919) % 401)

  beforeEach(async () => {
    card = await readModelCard(models, { id: 'rfm-lightgbm', version: '1' })
    bytes = await readFile(join(models, card.id, card.version, 'model.onnx'))
    threads = []
    classifier = await openThreadedClassifier(card, bytes, start)
  })

  afterEach(() => classifier.close())

  it('answers as the classifier on the thread of the caller does', async () => {
    const here = await openOnnxClassifier(card, bytes)
    expect(await classifier.classify(rowsOf(33), 33)).toEqual(await here.classify(rowsOf(33), 33))
    await here.close()
  })

  it('opens another thread when the one it had was terminated', async () => {
    const before = await classifier.classify(rowsOf(20), 20)
    for (const times of [1, 2]) {
      await threads.at(-1)!.terminate()
      const again = await Promise.all([classifier.classify(rowsOf(20), 20), classifier.classify(rowsOf(20), 20)])
      expect(again).toEqual([before, before])
      expect(threads).toHaveLength(1 + times)
    }
  })

  it('fails what was under way when its thread is terminated, so that it can be asked again', async () => {
    const lives = [silent, start]
    const other = await openThreadedClassifier(card, bytes, (...model) => lives.shift()!(...model))
    const outcomes = Promise.allSettled([other.classify(rowsOf(1), 1), other.classify(rowsOf(2), 2)])
    await threads.at(-1)!.terminate()
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'classifier_failed', retriable: true } })
    expect(await other.classify(rowsOf(20), 20)).toEqual(await classifier.classify(rowsOf(20), 20))
    await other.close()
  })

  it('closes while a long run is under way without harm to the process', async () => {
    const underWay = classifier.classify(rowsOf(20_000), 20_000)
    const outcome = expect(underWay).rejects.toMatchObject({ code: 'classifier_failed' })
    await classifier.close()
    await outcome
    await classifier.close()
  })

  it('keeps its thread when one call is at fault', async () => {
    const wrong = new Float32Array(card.features.length).fill(Number.NaN)
    await expect(classifier.classify(wrong, 1)).rejects.toMatchObject({ code: 'classifier_bad_input' })
    await classifier.classify(rowsOf(1), 1)
    expect(threads).toHaveLength(1)
  })

  it('opens no thread any more once it was closed', async () => {
    await classifier.close()
    await expect(classifier.classify(rowsOf(1), 1)).rejects.toMatchObject({ code: 'classifier_failed' })
    expect(threads).toHaveLength(1)
  })

  it('refuses a model that its thread cannot open', async () => {
    const opening = openThreadedClassifier(card, bytes.slice(0, 1_000), start)
    await expect(opening).rejects.toMatchObject({ code: 'model_refused' })
  })
})
