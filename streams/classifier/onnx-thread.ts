import { parentPort, workerData } from 'node:worker_threads'
import { faultOf } from '../core/fault.ts'
import type { ModelCard } from './model-card.ts'
import { openOnnxClassifier } from './onnx-classifier.ts'
import type { ThreadAnswer, ThreadRequest } from './threaded-classifier.ts'

/** Thread of a threaded classifier: opens the model it is given, then answers requests in order, until asked to end. */
const { card, bytes } = workerData as { card: ModelCard; bytes: Uint8Array }

function answer(message: ThreadAnswer, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer)
}

const failed = 'classifier_failed'

try {
  const classifier = await openOnnxClassifier(card, bytes)
  parentPort?.on('message', async (request: ThreadRequest) => {
    if (request.kind === 'close') {
      await classifier.close()
      return parentPort?.close()
    }
    const { id, rows, count } = request
    try {
      const result = await classifier.classify(rows, count)
      const { segmentIndex, probabilities, score } = result
      answer({ kind: 'classified', id, result }, [
        segmentIndex.buffer,
        probabilities.buffer,
        score.buffer,
      ] as ArrayBuffer[])
    } catch (error) {
      answer({ kind: 'failed', id, fault: faultOf(error, failed) })
    }
  })
  answer({ kind: 'ready' })
} catch (error) {
  answer({ kind: 'refused', fault: faultOf(error, failed) })
}
