import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { passRowsAside } from '#services/ingest/receipts/row-aside.ts'
import { passRows, type RowSink } from '#services/ingest/receipts/row-pass.ts'
import { type TempDir, tempDir } from '../../../support/temp-dir.ts'
import { lineHeader, lineProfile, uploadedAtMs } from '../support/prepare.ts'

let dir: TempDir
let path: string
beforeAll(async () => {
  dir = await tempDir('loyalty-aside-')
  path = join(dir.path, 'file.csv')
})
afterAll(() => dir.remove())

/** Writes down what it is given; wants no more after so many calls of `drain`. */
class Listening implements RowSink {
  readonly heard: unknown[] = []
  drained = 0
  readonly #most: number

  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most
  }

  begin(fields: readonly unknown[]): void {
    this.heard.push(fields)
  }

  take(row: object): void {
    this.heard.push({ ...row })
  }

  spoil({ number, key }: { readonly number: number; readonly key: string }): void {
    this.heard.push({ number, key })
  }

  async drain(): Promise<boolean> {
    return ++this.drained < this.#most
  }
}

async function writeRows(count: number, last = ''): Promise<void> {
  const row = (i: number) => `R${i >> 1},${i % 9 === 0 ? '' : '17'},2011-06-15 12:00,2.50,1,Ж${i}`
  await writeFile(path, `${lineHeader}\n${Array.from({ length: count }, (_, i) => row(i)).join('\n')}\n${last}`)
}

const options = () => ({ path, profile: lineProfile(), uploadedAtMs })

describe('rows that are read by a thread of their own', () => {
  it('are those that are read here, with the same verdicts, in the same order', async () => {
    await writeRows(20_000)
    const here = new Listening()
    const there = new Listening()
    let share = 0
    const onProgress = (now: number) => {
      share = now
    }
    expect(await passRowsAside({ ...options(), onProgress }, there)).toEqual(await passRows(options(), here))
    expect(there.heard).toEqual(here.heard)
    expect(share).toBe(1)
  })

  it('end with the error that the file ends with here', async () => {
    await writeRows(20_000, 'R0,17,2011-06-15 12:00,\u0000,1,A\n')
    const error = await passRows(options(), new Listening()).catch((cause) => cause)
    expect(error).toMatchObject({ code: 'file_not_text' })
    const { code, message, details } = error
    await expect(passRowsAside(options(), new Listening())).rejects.toMatchObject({ code, message, details })
  })

  it('end where no more are wanted, long before the file does', async () => {
    await writeRows(200_000)
    const sink = new Listening(2)
    expect(await passRowsAside(options(), sink)).toBeNull()
    expect(sink.drained).toBeLessThan(12)
  })

  it('end when the work is given up', async () => {
    await writeRows(200_000)
    const giving = new AbortController()
    const sink = new Listening()
    const read = passRowsAside({ ...options(), signal: giving.signal, onProgress: () => giving.abort() }, sink)
    await expect(read).rejects.toThrow('aborted')
    expect(sink.heard.length).toBeLessThan(100_000)
  })
})
