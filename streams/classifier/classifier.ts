/** The classifier port: feature rows in, label, class probabilities and loyalty score out. */

export interface ModelIdentity {
  readonly id: string
  readonly version: string
}

/** Result for `rows` clients; index i belongs to row i. */
export interface Classification {
  /** Index into `Classifier.segments`. */
  readonly segmentIndex: Int32Array
  /** Row-major, rows × segments. */
  readonly probabilities: Float32Array
  /** Loyalty score, an integer 0–100. */
  readonly score: Uint8Array
}

export interface Classifier {
  readonly model: ModelIdentity
  /** Names of the features in the order of a row's columns (from the model card). */
  readonly features: readonly string[]
  /** Segment id per class index (from the model card). */
  readonly segments: readonly string[]
  /** `rows` is row-major, count × features.length. Errors: `classifier_bad_input` (NaN or wrong length), `classifier_failed`. */
  classify(rows: Float32Array, count: number): Promise<Classification>
  close(): Promise<void>
}

/** Loads the classifier that a `ModelActivated` event names. Errors: `model_unavailable` (retriable), `model_refused`. */
export interface ClassifierLoader {
  load(model: ModelIdentity & { readonly sha256: string }): Promise<Classifier>
}
