import { Readable, type Transform } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import type { Ticket } from './gate.ts'

export interface BodyLimits {
  /** Bytes of a body after decompression. */
  readonly bytes: number
  /** Longest time without a byte. */
  readonly idleMs: number
  /** Longest time for the whole body. */
  readonly totalMs: number
}

export interface Body {
  readonly content: ReadableStream | null
  /** `Content-Encoding` of the request. */
  readonly encoding: string | undefined
  /** `Content-Length` of the request. */
  readonly length: string | undefined
}

/**
 * The bytes of a body as they come, decompressed, each chunk counted against the limits and the ticket. A compressed body
 * is decompressed no further than the limit, by a window of at most 8 MiB.
 *
 * Errors: `encoding_unsupported`, `body_too_large`, `body_timeout`, `body_malformed` (cut off, or no such encoding),
 * `too_busy`.
 */
export async function* readBody(body: Body, limits: BodyLimits, ticket: Ticket): AsyncGenerator<Buffer> {
  const decoder = decoderOf(body.encoding)
  if (body.content === null) return
  if (Number(body.length ?? 0) > limits.bytes) throw tooLarge(limits)
  const source = Readable.fromWeb(body.content)
  const stream: Readable = decoder === null ? source : source.pipe(decoder)
  source.on('error', (cause) => decoder?.destroy(cause))
  const stop = (error: Error) => (decoder ?? source).destroy(error)
  const watch = watchTime(limits, () => stop(new LoyaltyError('body_timeout', timeoutText(limits))))
  let bytes = 0
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > limits.bytes) throw tooLarge(limits)
      ticket.take(chunk.length)
      // The time that the reader takes is not the sender's.
      watch.idle(false)
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
      watch.idle(true)
    }
  } catch (error) {
    throw error instanceof LoyaltyError
      ? error
      : new LoyaltyError('body_malformed', `the body was cut off or cannot be decoded: ${messageOf(error)}`, {
          cause: error,
        })
  } finally {
    watch.end()
    // What is left of the body is the server's to discard, so that the client can still read the answer.
    if (decoder !== null) {
      source.unpipe(decoder)
      decoder.destroy()
    }
  }
}

function decoderOf(encoding: string | undefined): Transform | null {
  switch (encoding?.trim().toLowerCase() ?? '') {
    case '':
    case 'identity':
      return null
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'zstd':
      return createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 23 } })
    default:
      throw new LoyaltyError(
        'encoding_unsupported',
        `Content-Encoding ${encoding} is not read; send gzip, zstd or plain`,
      )
  }
}

function watchTime(limits: BodyLimits, onLate: () => void) {
  let idling = true
  const whole = setTimeout(onLate, limits.totalMs)
  const idle = setTimeout(() => (idling ? onLate() : undefined), limits.idleMs)
  return {
    /** Whether the sender's next byte is waited for from now on. */
    idle: (now: boolean) => {
      idling = now
      if (now) idle.refresh()
    },
    end: () => {
      clearTimeout(whole)
      clearTimeout(idle)
    },
  }
}

function timeoutText({ idleMs, totalMs }: BodyLimits): string {
  return `the body did not come in time: at most ${idleMs / 1_000} s without a byte, and ${totalMs / 1_000} s in all`
}

function tooLarge({ bytes }: BodyLimits): LoyaltyError {
  return new LoyaltyError(
    'body_too_large',
    `the body is larger than ${bytes} bytes after decompression; send less at once`,
    {
      details: { limit_bytes: bytes },
    },
  )
}

/** A body as a whole. Errors: those of `readBody`. */
export async function readBytes(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/** A body as one text. Errors: `body_malformed` where it is no UTF-8, and those of `readBody`. */
export async function readText(chunks: AsyncIterable<Buffer>): Promise<string> {
  return textOf(await readBytes(chunks))
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new LoyaltyError('body_malformed', 'the body is no UTF-8', { cause })
  }
}

const newline = 0x0a

/** A line, and the bytes that it took together with what was blank before it. */
export interface Line {
  /** Empty where nothing but blanks came so far. */
  readonly text: string
  readonly bytes: number
}

/**
 * Lines of a body. Blank ones are passed over byte by byte, which costs next to nothing however many there are: packed they
 * are next to nothing, too. Errors: `body_too_large`: a line is longer than `longest` bytes; those of `readBody`.
 */
export async function* readLines(chunks: AsyncIterable<Buffer>, longest: number): AsyncGenerator<Line> {
  let parts: Buffer[] = []
  let held = 0
  let blanks = 0
  const keep = (part: Buffer) => {
    held += part.length
    if (held > longest)
      throw new LoyaltyError('body_too_large', `a line is longer than ${longest} bytes; is the body really NDJSON?`)
    parts.push(part)
  }
  const take = () => {
    const line = { text: textOf(parts.length === 1 ? parts[0]! : Buffer.concat(parts)).trim(), bytes: blanks + held }
    parts = []
    held = 0
    blanks = 0
    return line
  }
  for await (const chunk of chunks) {
    let from = 0
    while (from < chunk.length) {
      if (held === 0) {
        const begins = from
        while (isBlank(chunk[from])) from++
        blanks += from - begins
      }
      const end = chunk.indexOf(newline, from)
      keep(chunk.subarray(from, end < 0 ? chunk.length : end))
      if (end >= 0) yield take()
      from = end < 0 ? chunk.length : end + 1
    }
    if (held === 0 && blanks > 0) yield take()
  }
  if (held > 0) yield take()
}

function isBlank(byte: number | undefined): boolean {
  return byte === newline || byte === 0x20 || byte === 0x0d || byte === 0x09
}
