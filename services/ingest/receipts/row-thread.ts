import { parentPort, workerData } from 'node:worker_threads'
import { LoyaltyError } from '#streams/core/error.ts'
import { faultOf } from '#streams/core/fault.ts'
import type { Field } from './fields.ts'
import type { MappedRow, SpoiltRow } from './row.ts'
import type { RowsAnswer, RowsAsked, RowsRequest } from './row-aside.ts'
import { RowEncoder } from './row-codec.ts'
import { passRows, type RowSink } from './row-pass.ts'

/** Thread of `passRowsAside`: reads one file, hands its rows over in pieces, and ends. */

/** Bytes of a piece. */
const pieceBytes = 256 * 1024
/** Pieces that may be on their way. */
const mostPieces = 8

function answer(message: RowsAnswer, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer)
}

class Pieces implements RowSink {
  readonly #encoder = new RowEncoder()
  /** With memory of its own, which goes with it. */
  #piece = Buffer.allocUnsafeSlow(pieceBytes)
  #length = 0
  #full: Buffer<ArrayBuffer>[] = []
  #onTheirWay = 0
  #wanted = true
  #taken: () => void = () => {}
  /** Of the file that was read, 0 to 1. */
  share = 0

  /** A piece was taken, or no more are wanted. */
  hear({ kind }: RowsRequest): void {
    if (kind === 'enough') this.#wanted = false
    else this.#onTheirWay--
    this.#taken()
  }

  begin(fields: readonly Field[]): void {
    answer({ kind: 'fields', fields })
  }

  take(row: MappedRow): void {
    this.#encoder.mapped(row)
    this.#append()
  }

  spoil(row: SpoiltRow): void {
    this.#encoder.spoilt(row)
    this.#append()
  }

  async drain(): Promise<boolean> {
    for (const piece of this.#full.splice(0)) {
      while (this.#wanted && this.#onTheirWay >= mostPieces)
        await new Promise<void>((resolve) => {
          this.#taken = resolve
        })
      if (!this.#wanted) return false
      this.#onTheirWay++
      answer({ kind: 'piece', bytes: piece, share: this.share }, [piece.buffer])
    }
    return this.#wanted
  }

  /** Hands over what is left. */
  end(): Promise<boolean> {
    if (this.#length > 0) this.#full.push(this.#piece.subarray(0, this.#length))
    this.#length = 0
    return this.drain()
  }

  #append(): void {
    const { bytes, length } = this.#encoder
    if (this.#piece.length - this.#length < length) {
      if (this.#length > 0) this.#full.push(this.#piece.subarray(0, this.#length))
      this.#piece = Buffer.allocUnsafeSlow(Math.max(pieceBytes, length))
      this.#length = 0
    }
    this.#piece.set(bytes.subarray(0, length), this.#length)
    this.#length += length
  }
}

const pieces = new Pieces()
parentPort?.on('message', (request: RowsRequest) => pieces.hear(request))
try {
  const onProgress = (share: number) => {
    pieces.share = share
  }
  const read = await passRows({ ...(workerData as RowsAsked), onProgress }, pieces)
  answer({ kind: 'read', read: read !== null && (await pieces.end()) ? read : null })
} catch (error) {
  // What nobody foresaw ends the thread, and reaches the other side as it is.
  if (!(error instanceof LoyaltyError)) throw error
  answer({ kind: 'failed', fault: faultOf(error, error.code) })
} finally {
  parentPort?.close()
}
