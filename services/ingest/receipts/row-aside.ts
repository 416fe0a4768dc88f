import { Worker } from 'node:worker_threads'
import { LoyaltyError } from '#streams/core/error.ts'
import { errorOf, type Fault } from '#streams/core/fault.ts'
import type { Field } from './fields.ts'
import { RowRecords } from './row-codec.ts'
import type { RowPassOptions, RowSink, RowsRead } from './row-pass.ts'

/** What the thread is given. */
export type RowsAsked = Pick<RowPassOptions, 'path' | 'profile' | 'uploadedAtMs' | 'verdictsDirectory'>

/** What it is told: that a piece was taken, or that no more are wanted. */
export interface RowsRequest {
  readonly kind: 'taken' | 'enough'
}

/** What it answers: the fields, the rows in pieces of records (`RowRecords`), and at the end what it found, or why not. */
export type RowsAnswer =
  | { readonly kind: 'fields'; readonly fields: readonly Field[] }
  | { readonly kind: 'piece'; readonly bytes: Uint8Array; readonly share: number }
  | { readonly kind: 'read'; readonly read: RowsRead | null }
  | { readonly kind: 'failed'; readonly fault: Fault }

/**
 * `passRows` on a thread of its own, so that a second core reads while the first works on what was read; each row is an
 * object of its own. Errors: as there; `reading_failed` (retriable) where the thread ends by itself and says nothing.
 */
export async function passRowsAside(options: RowPassOptions, sink: RowSink): Promise<RowsRead | null> {
  const { path, profile, uploadedAtMs, verdictsDirectory, signal, onProgress } = options
  signal?.throwIfAborted()
  const workerData: RowsAsked = { path, profile, uploadedAtMs, verdictsDirectory }
  const thread = new Worker(new URL('./row-thread.ts', import.meta.url), { workerData })
  const tell = (kind: RowsRequest['kind']) => thread.postMessage({ kind } satisfies RowsRequest)
  const stop = () => void thread.terminate()
  signal?.addEventListener('abort', stop)
  try {
    for await (const answer of answersOf(thread)) {
      signal?.throwIfAborted()
      if (answer.kind === 'failed') throw errorOf(answer.fault)
      if (answer.kind === 'read') return answer.read
      if (answer.kind === 'fields') sink.begin(answer.fields)
      else {
        takePiece(answer.bytes, sink)
        onProgress?.(answer.share)
        tell((await sink.drain()) ? 'taken' : 'enough')
      }
    }
    signal?.throwIfAborted()
    throw new LoyaltyError('reading_failed', 'the thread that reads the file ended by itself; try again', {
      retriable: true,
    })
  } finally {
    signal?.removeEventListener('abort', stop)
    await thread.terminate()
  }
}

function takePiece(piece: Uint8Array, sink: RowSink): void {
  const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.length)
  const records = new RowRecords(bytes)
  for (let at = 0; at < bytes.length; at = records.after(at))
    if (records.isSpoilt(at)) sink.spoil({ number: records.number(at), key: records.key(at) })
    else sink.take(records.row(at))
}

/** What a thread answers until it ends. Errors: what ended it, and was not foreseen. */
async function* answersOf(thread: Worker): AsyncGenerator<RowsAnswer> {
  const waiting: RowsAnswer[] = []
  let error: Error | null = null
  let ended = false
  let wake = () => {}
  thread.on('message', (answer: RowsAnswer) => {
    waiting.push(answer)
    wake()
  })
  thread.on('error', (cause) => {
    error = cause
    wake()
  })
  thread.on('exit', () => {
    ended = true
    wake()
  })
  for (;;) {
    yield* waiting.splice(0)
    if (waiting.length > 0) continue
    if (error !== null) throw error
    if (ended) return
    await new Promise<void>((resolve) => {
      wake = resolve
    })
  }
}
