import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import type { S3mini, UploadPart } from 's3mini'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { Bucket } from '../../platform/bucket.ts'
import { addressOf, type BucketPlace } from '../../platform/bucket-place.ts'
import { LocalCopies } from './local-copies.ts'
import { type Original, type Originals, originalMissing } from './originals.ts'

/** Held in memory at once; an object has 10,000 parts at most. */
const usualPartBytes = 8 * 1024 * 1024
const mostParts = 10_000

/**
 * Objects of a bucket below a prefix, at `s3://bucket/key`. A file is read many times and at any place, so it is also on this
 * machine while it is worked on: in `cacheDir`, which holds nothing that could not be fetched again.
 */
export function s3Originals(place: BucketPlace, cacheDir: string, partBytes = usualPartBytes): Originals {
  const { prefix } = place
  const where = addressOf(place)
  // Parts are cut here; the client would refuse small ones, which a test uses.
  const bucket = new Bucket(where, place, {
    unavailable: (cause) => unavailable(where, cause),
    minPartBytes: partBytes,
  })
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
    const response = await bucket.ask((client) => client.getObjectResponse(keyOf(storedPath)))
    if (response === null || response.body === null) {
      if (!(await bucket.ask((client) => client.bucketExists()))) throw bucket.unavailable(new Error('is not there'))
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
    await bucket.ask(() => pipeline(body, measured, createWriteStream(path)))
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
        await bucket.ask((client) => putFile(client, key, path, partBytes))
      })
      return storedPath
    },
    open: (original) => copies.open(original.storedPath, (path) => fetchTo(path, original)),
    async remove(storedPath) {
      await copies.drop(storedPath)
      await bucket.ask((client) => client.deleteObject(keyOf(storedPath)))
    },
    tidy: () => copies.clear(),
    close: () => copies.clear(),
  }
}

/** Sends a file, part by part where it is longer than one. An object is there once all of it is. */
async function putFile(client: S3mini, key: string, path: string, partBytes: number): Promise<void> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    if (size <= partBytes) await client.putObject(key, await piece(file, 0, size))
    else await putParts(client, key, file, size, Math.max(partBytes, Math.ceil(size / mostParts)))
  } finally {
    await file.close()
  }
}

async function putParts(client: S3mini, key: string, file: FileHandle, size: number, partBytes: number): Promise<void> {
  const uploadId = await client.getMultipartUploadId(key)
  try {
    const parts: UploadPart[] = []
    for (let at = 0; at < size; at += partBytes) {
      const bytes = await piece(file, at, Math.min(partBytes, size - at))
      parts.push(await client.uploadPart(key, uploadId, bytes, parts.length + 1))
    }
    await client.completeMultipartUpload(key, uploadId, parts)
  } catch (error) {
    await client.abortMultipartUpload(key, uploadId).catch(() => {})
    throw error
  }
}

async function piece(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, at)
  if (bytesRead === length) return buffer
  throw new Error('the file was cut while it was sent')
}

function unavailable(where: string, cause: unknown): LoyaltyError {
  return new LoyaltyError('upload_store_unavailable', `the bucket ${where} of uploads: ${messageOf(cause)}`, {
    retriable: true,
    cause,
  })
}
