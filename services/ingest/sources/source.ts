import type { Readable } from 'node:stream'

/** Something whole that a source offers to be taken in. */
export interface Offer {
  readonly fileName: string
  /** Tells it from a later one of the same name. */
  readonly version: string
  /** Name of the file profile; null: chosen by the header. */
  readonly profile: string | null
  /** Errors: `source_file_unreadable` (retriable): this one cannot be had, others may. */
  open(): Promise<Offered>
}

export interface Offered {
  readonly content: Readable
  /** To be asked once the content has been read to its end. */
  readonly finish: () => Promise<Finished>
}

export interface Finished {
  /** `changed`: somebody wrote while it was read, so that it is to be left for the next run; `empty`: no row. */
  readonly state: 'whole' | 'changed' | 'empty'
  /** How far the source has been read; null where it keeps no watermark. */
  readonly watermark: string | null
}

/** What became of a file that was taken. */
export type Fate =
  | { readonly kind: 'processed' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }

/** Where files come from. Errors of all its methods: `source_unavailable` (retriable). */
export interface Source {
  /** What can be taken now. `watermark`: as it was kept; null before the first run. */
  offers(watermark: string | null): AsyncIterable<Offer>
  /** Puts a file out of the way, unless another has taken its place. Again for the same file it does nothing. */
  putAway(fileName: string, version: string, fate: Fate): Promise<void>
  close(): Promise<void>
}
