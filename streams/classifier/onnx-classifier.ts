import { InferenceSession, Tensor } from 'onnxruntime-node'
import { LoyaltyError, messageOf } from '../core/error.ts'
import type { Classification, Classifier } from './classifier.ts'
import { type ModelCard, refusal } from './model-card.ts'

/**
 * Rows per call of the runtime. Measured on one thread with the default model: a call costs about 40 µs beside 3 µs a row,
 * so throughput is flat from 256 up, and the event loop is held for less than 2 ms. The remainder goes as it is: a row of
 * padding costs as much as any other, and results do not depend on the size of the batch (tested).
 */
const batchRows = 512

/**
 * A classifier on ONNX Runtime, one thread, one session. `bytes` is the model file that `card` describes; its digest is
 * the caller's business. Errors: `model_refused` (details.check names the failed check).
 */
export async function openOnnxClassifier(card: ModelCard, bytes: Uint8Array): Promise<Classifier> {
  let session: InferenceSession
  try {
    session = await InferenceSession.create(bytes, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
    })
  } catch (cause) {
    throw refusal('load', `ONNX Runtime cannot load ${nameOf(card)}: ${messageOf(cause)}`, {}, cause)
  }
  try {
    checkSignature(card, session)
    await probe(card, session)
    return new OnnxClassifier(card, session)
  } catch (error) {
    await session.release()
    throw error
  }
}

class OnnxClassifier implements Classifier {
  readonly model: Classifier['model']
  readonly features: readonly string[]
  readonly segments: readonly string[]
  readonly #card: ModelCard
  readonly #session: InferenceSession
  #closed = false

  constructor(card: ModelCard, session: InferenceSession) {
    this.model = { id: card.id, version: card.version }
    this.features = card.features
    this.segments = card.segments
    this.#card = card
    this.#session = session
  }

  async classify(rows: Float32Array, count: number): Promise<Classification> {
    if (this.#closed) throw failure(this.#card, 'it was closed')
    const width = this.features.length
    checkRows(rows, count, this.features)
    const result = {
      segmentIndex: new Int32Array(count),
      probabilities: new Float32Array(count * this.segments.length),
      score: new Uint8Array(count),
    }
    for (let from = 0; from < count; from += batchRows) {
      const to = Math.min(count, from + batchRows)
      const slice = rows.subarray(from * width, to * width)
      await runBatch(this.#card, this.#session, slice, to - from, result, from)
    }
    return result
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#session.release()
  }
}

/** Runs one batch and writes its rows into `result` from row `at` on. */
async function runBatch(
  card: ModelCard,
  session: InferenceSession,
  rows: Float32Array,
  count: number,
  result: Classification,
  at: number,
): Promise<void> {
  let outputs: InferenceSession.OnnxValueMapType
  try {
    outputs = await session.run({ [card.input]: new Tensor('float32', rows, [count, card.features.length]) })
  } catch (cause) {
    throw failure(card, messageOf(cause), cause)
  }
  const labels = labelsOf(card, outputs[card.outputs.label], count)
  const classes = card.segments.length
  const probabilities = floatsOf(card, outputs[card.outputs.probabilities], card.outputs.probabilities, count * classes)
  const chances = floatsOf(card, outputs[card.outputs.score], card.outputs.score, count)
  result.probabilities.set(probabilities, at * classes)
  for (let i = 0; i < count; i++) {
    const label = labels[i]!
    const chance = chances[i]!
    if (!(label >= 0 && label < classes)) throw failure(card, `class ${label} has no segment in the card`)
    if (!(chance >= 0 && chance <= 1)) throw failure(card, `its score ${chance} is no probability`)
    result.segmentIndex[at + i] = label
    result.score[at + i] = Math.round(chance * 100)
  }
}

function labelsOf(card: ModelCard, value: unknown, count: number): ArrayLike<number> {
  const data = value instanceof Tensor ? value.data : undefined
  if (data instanceof Int32Array && data.length === count) return data
  if (data instanceof BigInt64Array && data.length === count) return Array.from(data, Number)
  throw failure(card, `output ${card.outputs.label} is not one class index a row`)
}

function floatsOf(card: ModelCard, value: unknown, output: string, length: number): Float32Array {
  const data = value instanceof Tensor ? value.data : undefined
  if (data instanceof Float32Array && data.length === length) return data
  throw failure(card, `output ${output} is not ${length} float32 values`)
}

/** Errors: `classifier_bad_input`, naming the first bad row and feature. */
function checkRows(rows: Float32Array, count: number, features: readonly string[]): void {
  const width = features.length
  if (rows.length !== count * width)
    throw new LoyaltyError(
      'classifier_bad_input',
      `expected ${count} rows of ${width} features, got ${rows.length} values`,
    )
  for (let i = 0; i < rows.length; i++) {
    // v − v is 0 for every finite number and NaN for NaN and both infinities.
    if (rows[i]! - rows[i]! === 0) continue
    const row = Math.floor(i / width)
    const feature = features[i % width]
    throw new LoyaltyError('classifier_bad_input', `feature ${feature} of row ${row} is ${rows[i]}`, {
      details: { row, feature },
    })
  }
}

/** Compares the graph's declared inputs and outputs with the card. */
function checkSignature(card: ModelCard, session: InferenceSession): void {
  const [input, ...others] = session.inputMetadata
  if (input === undefined || others.length > 0 || input.name !== card.input)
    throw refusal(
      'input',
      `${nameOf(card)} must have the one input ${card.input}, has ${session.inputNames.join(', ')}`,
    )
  if (!input.isTensor || input.type !== 'float32')
    throw refusal('input_type', `input ${card.input} of ${nameOf(card)} must be a float32 tensor`)
  const [rows, width] = input.shape
  if (input.shape.length !== 2 || typeof rows === 'number')
    throw refusal('batch', `input ${card.input} of ${nameOf(card)} must take any number of rows, not ${rows}`)
  if (typeof width === 'number' && width !== card.features.length)
    throw refusal('features', `${nameOf(card)} takes ${width} features, its card lists ${card.features.length}`)
  const types = { label: ['int32', 'int64'], probabilities: ['float32'], score: ['float32'] }
  for (const role of ['label', 'probabilities', 'score'] as const) {
    const output = session.outputMetadata.find(({ name }) => name === card.outputs[role])
    if (output === undefined)
      throw refusal(
        'outputs',
        `${nameOf(card)} has no output ${card.outputs[role]}, only ${session.outputNames.join(', ')}`,
      )
    if (!output.isTensor || !types[role].includes(output.type))
      throw refusal(
        'output_type',
        `output ${output.name} of ${nameOf(card)} must be a tensor of ${types[role].join(' or ')}`,
      )
    // A declared fixed size makes the runtime print a warning at each call with another one.
    if (typeof output.shape[0] === 'number')
      throw refusal('output_shape', `output ${output.name} of ${nameOf(card)} must declare a free number of rows`)
  }
}

/** Classifies rows of zeros, so that a model that cannot answer is refused before it is in force. */
async function probe(card: ModelCard, session: InferenceSession): Promise<void> {
  const count = 3
  const classes = card.segments.length
  const result: Classification = {
    segmentIndex: new Int32Array(count),
    probabilities: new Float32Array(count * classes),
    score: new Uint8Array(count),
  }
  try {
    await runBatch(card, session, new Float32Array(count * card.features.length), count, result, 0)
  } catch (cause) {
    throw refusal('probe', messageOf(cause), {}, cause)
  }
  const sum = result.probabilities.subarray(0, classes).reduce((total, p) => total + p, 0)
  if (!(Math.abs(sum - 1) < 1e-3))
    throw refusal('probabilities', `class probabilities of ${nameOf(card)} sum to ${sum}, not to 1`)
}

function failure(card: ModelCard, what: string, cause?: unknown): LoyaltyError {
  return new LoyaltyError('classifier_failed', `${nameOf(card)} cannot classify: ${what}`, {
    details: { model: card.id, version: card.version },
    ...(cause === undefined ? {} : { cause }),
  })
}

function nameOf(card: ModelCard): string {
  return `model ${card.id}/${card.version}`
}
