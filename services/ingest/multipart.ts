import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'

/** A form with one file, read as it comes: the file is never in memory. */
export interface MultipartForm<Stored> {
  /** What `store` made of the part named `file`; null where there was none. */
  readonly file: Stored | null
  readonly fields: ReadonlyMap<string, string>
}

const limits = { files: 1, fields: 20, fieldSize: 64 * 1024, parts: 25, headerPairs: 50 }

/**
 * Reads a multipart body and hands the part named `file` to `store` while it arrives; `discard` undoes that where the
 * rest of the body turns out bad.
 *
 * Errors: `upload_malformed` (no multipart body, or cut off), and those of `store`.
 */
export async function readMultipart<Stored>(
  contentType: string | undefined,
  body: ReadableStream | null,
  store: (fileName: string, content: Readable) => Promise<Stored>,
  discard: (stored: Stored) => Promise<void>,
): Promise<MultipartForm<Stored>> {
  if (contentType === undefined || !contentType.startsWith('multipart/form-data') || body === null)
    throw malformed('the body is no multipart/form-data')
  const fields = new Map<string, string>()
  const part: { content: Readable | null; storing: Promise<Stored> | null } = { content: null, storing: null }
  const parser = openParser(contentType)
  const parsed = new Promise<void>((resolve, reject) => {
    parser.on('field', (name, value) => void fields.set(name, value))
    parser.on('file', (name, content, fileName) => {
      // The parser tells a part's end in error through the part too, at times when nobody reads it any more.
      content.on('error', () => {})
      if (name !== 'file' || part.storing !== null) {
        content.resume()
        return
      }
      part.content = content
      part.storing = store(fileName ?? 'upload', content)
      // A file that cannot be stored ends the form at once.
      part.storing.catch(reject)
    })
    parser.on('finish', resolve)
    parser.on('error', (cause) => reject(malformed(`the body cannot be read: ${messageOf(cause)}`, cause)))
  })
  const source = Readable.fromWeb(body)
  source.on('error', (cause) => parser.destroy(malformed('the body was cut off', cause)))
  source.pipe(parser)
  try {
    await parsed
    return { file: await part.storing, fields }
  } catch (error) {
    source.unpipe(parser)
    source.resume()
    part.content?.destroy(malformed('the body was cut off'))
    const stored = await settled(part.storing)
    if (stored !== null) await discard(stored)
    throw error
  }
}

/** What a storing came to; null where it failed or was never begun. */
async function settled<Stored>(storing: Promise<Stored> | null): Promise<Stored | null> {
  return storing === null ? null : storing.catch(() => null)
}

function openParser(contentType: string): BusboyInstance {
  try {
    return new Busboy({ headers: { 'content-type': contentType }, limits })
  } catch (cause) {
    throw malformed(`the body is no readable multipart/form-data: ${messageOf(cause)}`, cause)
  }
}

function malformed(message: string, cause?: unknown): LoyaltyError {
  return new LoyaltyError('upload_malformed', `${message}; send a form with the file in a part named "file"`, { cause })
}
