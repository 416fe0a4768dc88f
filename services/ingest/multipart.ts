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

/** What becomes of the part named `file`. */
export interface FilePart<Stored> {
  /** Takes it while it arrives. */
  store(fileName: string, content: Readable): Promise<Stored>
  /** Undoes that where the rest of the body turns out bad. */
  discard(stored: Stored): Promise<void>
}

/**
 * Reads a multipart body with the part named `file` and the fields of the names given; a field may be sent as a file too.
 *
 * Errors: `upload_malformed` (no multipart body, cut off, or with parts that would not be heeded: `details.part`), and
 * those of `store`.
 */
export async function readMultipart<Stored>(
  contentType: string | undefined,
  body: ReadableStream | null,
  names: readonly string[],
  { store, discard }: FilePart<Stored>,
): Promise<MultipartForm<Stored>> {
  if (contentType === undefined || !contentType.startsWith('multipart/form-data') || body === null)
    throw malformed('the body is no multipart/form-data')
  const fields = new Map<string, string>()
  const part: { content: Readable | null; storing: Promise<Stored> | null } = { content: null, storing: null }
  const parser = openParser(contentType)
  const parsed = new Promise<void>((resolve, reject) => {
    let refused = false
    const refuse = (message: string, name?: string) => {
      refused = true
      reject(malformed(message, undefined, name === undefined ? {} : { part: name, known: ['file', ...names] }))
    }
    parser.on('field', (name, value, _, isCut) => {
      if (fields.has(name)) refuse(`the part "${name}" is there twice`, name)
      else if (isCut) refuse(`the part "${name}" is longer than ${limits.fieldSize} bytes`, name)
      // The file as a field: who asks for the file says that it is missing.
      else if (name === 'file' || names.includes(name)) fields.set(name, value)
      else refuse(`there is no part "${name}" in this form, which has ${['file', ...names].join(', ')}`, name)
    })
    parser.on('filesLimit', () => refuse('the form has more than one file', 'file'))
    parser.on('fieldsLimit', () => refuse(`the form has more than ${limits.fields} fields`))
    parser.on('partsLimit', () => refuse(`the form has more than ${limits.parts} parts`))
    parser.on('file', (_, content, fileName) => {
      // The parser tells a part's end in error through the part too, at times when nobody reads it any more.
      content.on('error', () => {})
      if (refused) {
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
    return new Busboy({ headers: { 'content-type': contentType }, limits, isPartAFile })
  } catch (cause) {
    throw malformed(`the body is no readable multipart/form-data: ${messageOf(cause)}`, cause)
  }
}

/** All others are fields, however they are sent: `curl -F profile=@profile.json` makes a file of one. */
function isPartAFile(name: string | undefined, type: string | undefined, fileName: string | undefined): boolean {
  return name === 'file' && (fileName !== undefined || type === 'application/octet-stream')
}

function malformed(message: string, cause?: unknown, details: Record<string, unknown> = {}): LoyaltyError {
  const remedy = 'send a form with the file in a part named "file"'
  return new LoyaltyError('upload_malformed', `${message}; ${remedy}`, { cause, details })
}
