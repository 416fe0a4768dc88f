import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import { S3mini, type UploadPart } from 's3mini'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { LocalCopies } from './local-copies.ts'
import { type Original, type Originals, originalMissing } from './originals.ts'

export interface S3Place {
  /** Without the bucket: https://s3.eu-central-1.amazonaws.com */
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly bucket: string
  /** Empty, or ends in a slash. */
  readonly prefix: string
}

/** Held in memory at once; an object has 10,000 parts at most. */
const usualPartBytes = 8 * 1024 * 1024
const mostParts = 10_000

/**
 * Objects of a bucket below a prefix, at `s3://bucket/key`. A file is read many times and at any place, so it is also on this
 * machine while it is worked on: in `cacheDir`, which holds nothing that could not be fetched again.
 */
export function s3Originals(place: S3Place, cacheDir: string, partBytes = usualPartBytes): Originals {
  const { region, accessKeyId, secretAccessKey, prefix } = place
  const where = `${place.endpoint.replace(/\/+$/, '')}/${place.bucket}`
  // Parts are cut here; the client would refuse small ones, which a test uses.
  const bucket = new S3mini({ endpoint: where, region, accessKeyId, secretAccessKey, minPartSize: partBytes })
  const root = `s3://${place.bucket}/`
  const copies = new LocalCopies(cacheDir)

  const keyOf = (storedPath: string): string => {
    if (storedPath.startsWith(root)) return storedPath.slice(root.length)
    throw new LoyaltyError(
      'original_missing',
      `the file is kept at ${storedPath}, and LOYALTY_UPLOAD_STORE names ${root}`,
      {
        details: { path: storedPath },
      },
    )
  }

  async function fetchTo(path: string, { storedPath, sha256 }: Original): Promise<void> {
    const response = await orUnavailable(where, () => bucket.getObjectResponse(keyOf(storedPath)))
    if (response === null || response.body === null) {
      if (!(await orUnavailable(where, () => bucket.bucketExists())))
        throw unavailable(where, new Error('is not there'))
      throw originalMissing(storedPath, '')
    }
    const body = Readable.fromWeb(response.body as ReadableStream)
    const hash = createHash('sha256')
    const measured = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk)
        yield chunk
      }
    }
    await orUnavailable(where, () => pipeline(body, measured, createWriteStream(path)))
    if (hash.digest('hex') === sha256) return
    throw new LoyaltyError(
      'original_damaged',
      `the object at ${storedPath} has other content than the file that was uploaded; upload the file again`,
      { details: { path: storedPath } },
    )
  }

  return {
    async store(name, content) {
      const key = prefix + name
      const storedPath = root + key
      await copies.make(storedPath, async (path) => {
        await pipeline(content, createWriteStream(path))
        await orUnavailable(where, () => putFile(bucket, key, path, partBytes))
      })
      return storedPath
    },
    open: (original) => copies.open(original.storedPath, (path) => fetchTo(path, original)),
    async remove(storedPath) {
      await copies.drop(storedPath)
      await orUnavailable(where, () => bucket.deleteObject(keyOf(storedPath)))
    },
    tidy: () => copies.clear(),
    close: () => copies.clear(),
  }
}

/** Sends a file, part by part where it is longer than one. An object is there once all of it is. */
async function putFile(bucket: S3mini, key: string, path: string, partBytes: number): Promise<void> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    if (size <= partBytes) await bucket.putObject(key, await piece(file, 0, size))
    else await putParts(bucket, key, file, size, Math.max(partBytes, Math.ceil(size / mostParts)))
  } finally {
    await file.close()
  }
}

async function putParts(bucket: S3mini, key: string, file: FileHandle, size: number, partBytes: number): Promise<void> {
  const uploadId = await bucket.getMultipartUploadId(key)
  try {
    const parts: UploadPart[] = []
    for (let at = 0; at < size; at += partBytes) {
      const bytes = await piece(file, at, Math.min(partBytes, size - at))
      parts.push(await bucket.uploadPart(key, uploadId, bytes, parts.length + 1))
    }
    await bucket.completeMultipartUpload(key, uploadId, parts)
  } catch (error) {
    await bucket.abortMultipartUpload(key, uploadId).catch(() => {})
    throw error
  }
}

async function piece(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, at)
  if (bytesRead === length) return buffer
  throw new Error('the file was cut while it was sent')
}

async function orUnavailable<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw cause instanceof LoyaltyError ? cause : unavailable(where, cause)
  }
}

function unavailable(where: string, cause: unknown): LoyaltyError {
  return new LoyaltyError('upload_store_unavailable', `the bucket ${where} of uploads: ${messageOf(cause)}`, {
    retriable: true,
    cause,
  })
}
