import type { Classifier, ClassifierLoader } from '#streams/classifier/classifier.ts'
import { LoyaltyError } from '#streams/core/error.ts'

const segments = ['champions', 'loyal', 'at_risk', 'new', 'sleeping']

/** A classifier one can follow with a pencil: by recency and frequency, the limits shifted by the model's version. */
export function ruleClassifier(version: string): Classifier {
  const shift = Number(version) * 10
  return {
    model: { id: 'rule', version },
    features: ['recency_days', 'frequency'],
    segments,
    async classify(rows, count) {
      const result = {
        segmentIndex: new Int32Array(count),
        probabilities: new Float32Array(count * segments.length),
        score: new Uint8Array(count),
      }
      for (let i = 0; i < count; i++) {
        const recency = rows[i * 2]!
        const frequency = rows[i * 2 + 1]!
        result.segmentIndex[i] =
          recency > 180 + shift ? 4 : recency > 90 + shift ? 2 : frequency === 1 ? 3 : frequency < 5 ? 1 : 0
        result.score[i] = Math.max(0, 100 - Math.min(100, recency))
      }
      return result
    },
    async close() {},
  }
}

/** Loads rule classifiers; a version named in `missing` cannot be loaded. */
export function ruleLoader(missing: ReadonlySet<string> = new Set()): ClassifierLoader {
  return {
    async load({ id, version }) {
      if (missing.has(version))
        throw new LoyaltyError('model_unavailable', `there is no ${id} ${version}`, { retriable: true })
      return ruleClassifier(version)
    },
  }
}
