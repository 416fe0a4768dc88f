import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type ModelCard, parseModelCard } from '#streams/classifier/model-card.ts'
import { openOnnxClassifier } from '#streams/classifier/onnx-classifier.ts'

const root = join(import.meta.dirname, '../../..')
const vectors = join(root, '../shared/data/onnx-vectors')
const missing = !existsSync(vectors)
if (missing) console.warn(`skipped: ${vectors} is missing`)

const base = parseModelCard(readFileSync(join(root, 'models/rfm-lightgbm/1/card.json'), 'utf8'), 'card.json')
const outputs = { label: 'output_label', probabilities: 'output_probability', score: 'output_probability' }

/** Models of scikit-learn's converter (old form: batch of one, map-typed output) and one at operator level. */
const foreign: [file: string, card: Partial<ModelCard>, check: string][] = [
  ['sklearn/SklearnBinGradientBoostingClassifier.model.onnx', { input: 'input', outputs }, 'batch'],
  ['sklearn/SklearnLogitisticRegressionMulti.model.onnx', { input: 'input', outputs }, 'batch'],
  ['sklearn/SklearnMclRandomForestClassifier.model.onnx', { input: 'input', outputs }, 'batch'],
  ['test_ai_onnx_ml_tree_ensemble_single_tree/model.onnx', { input: 'X' }, 'input_type'],
]

describe.skipIf(missing)('models made elsewhere', () => {
  it.each(foreign)('%s is refused by name of the failed check', async (file, card, check) => {
    const bytes = readFileSync(join(vectors, file))
    await expect(openOnnxClassifier({ ...base, ...card }, bytes)).rejects.toMatchObject({
      code: 'model_refused',
      details: { check },
    })
  })
})
