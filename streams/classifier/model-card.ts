import { z } from 'zod'
import { LoyaltyError } from '../core/error.ts'

/** Part of a path below the models directory: no separators, never `.` or `..`. */
const name = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'lower-case letters, digits, dots, dashes and underscores')
const unique = (list: readonly string[]) => new Set(list).size === list.length

/**
 * What a model says about itself, in `card.json` beside `model.onnx`. The adapter trusts nothing of it that it can check
 * against the file; the rest (training, metrics) is for people and for the model list of the API.
 */
export const modelCardSchema = z.object({
  id: name,
  version: name,
  description: z.string(),
  /** Lower-case hex digest of `model.onnx`. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Newest day of data the model has seen, ISO. */
  date: z.iso.date(),
  /** Name of the one input, float32 rows × features. */
  input: z.string().min(1),
  /** Feature names of the domain, in the order of the columns. */
  features: z.array(z.string().min(1)).min(1).refine(unique, 'features must be distinct'),
  /** Segment id of each class, by class index. */
  segments: z.array(name).min(2).refine(unique, 'segments must be distinct'),
  /** Names of the outputs: class index; probability of each class; probability of buying within the horizon. */
  outputs: z.object({ label: z.string().min(1), probabilities: z.string().min(1), score: z.string().min(1) }),
  /** Where the model comes from: data, rows, dates, algorithm, parameters, library versions. */
  training: z.looseObject({ dataset: z.string(), algorithm: z.string() }),
  /** Metrics of the hold-out fit, by ensemble, beside the baselines. */
  metrics: z.record(z.string(), z.unknown()),
})

export type ModelCard = z.infer<typeof modelCardSchema>

/** Reads the text of a `card.json`. Errors: `model_refused` with every fault and its path. */
export function parseModelCard(text: string, where: string): ModelCard {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw refusal('card', `${where} is not JSON`, { where }, cause)
  }
  const parsed = modelCardSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.message}`)
  throw refusal('card', `${where} is no model card: ${faults.join('; ')}`, { where, faults })
}

/** The error for a model that must not be used; `check` names the test it failed. */
export function refusal(
  check: string,
  message: string,
  details: Record<string, unknown> = {},
  cause?: unknown,
): LoyaltyError {
  return new LoyaltyError('model_refused', message, {
    details: { check, ...details },
    ...(cause === undefined ? {} : { cause }),
  })
}
