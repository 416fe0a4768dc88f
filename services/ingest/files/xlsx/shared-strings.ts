import { LoyaltyError } from '#streams/core/error.ts'
import { unreadable } from './faults.ts'
import { TextCollector } from './text.ts'
import { XmlReader } from './xml.ts'

/**
 * The texts of a workbook, which its cells name by index. They are held as UTF-8 in blocks outside the heap, which is the
 * smallest that they come to, and read no further than cells have asked for.
 */

const blockBytes = 4 * 1024 * 1024
/** What the texts and the list of where they are may take. */
const maxBytes = 192 * 1024 * 1024
/** The first ones are asked for most, as names of goods and shops; they are kept as strings too. */
const keptCount = 16_384
const keptChars = 256

export class SharedStrings {
  readonly #chunks: AsyncIterator<Buffer>
  readonly #reader: XmlReader
  readonly #maxBytes: number
  readonly #blocks: Buffer[] = []
  /** Bytes used of the last block. */
  #used = blockBytes
  /** Where each text is: block × blockBytes + offset; its length stands before it. */
  #places = new Uint32Array(1024)
  #count = 0
  readonly #kept: string[] = []
  #ended = false

  /** `chunks` are those of the part, whose name is `part`. */
  constructor(part: string, chunks: AsyncIterable<Buffer>, limit = maxBytes) {
    this.#chunks = chunks[Symbol.asyncIterator]()
    this.#maxBytes = limit
    const collector = new TextCollector()
    let isItem = false
    this.#reader = new XmlReader(part, {
      open: (name) => {
        if (name === 'si') {
          isItem = true
          collector.begin()
        } else if (isItem) collector.open(name)
      },
      text: (text) => collector.text(text),
      close: (name) => {
        if (name === 'si' && isItem) {
          isItem = false
          this.#add(collector.end())
        } else if (isItem) collector.close(name)
      },
    })
  }

  /**
   * Reads on until the text of an index is there. Errors: `workbook_unreadable` (there is none),
   * `workbook_texts_too_large`, and those of reading.
   */
  async ensure(index: number): Promise<void> {
    while (this.#count <= index && !this.#ended) {
      const { value, done } = await this.#chunks.next()
      if (done === true) {
        this.#ended = true
        this.#reader.end()
      } else this.#reader.push(value)
    }
    if (this.#count <= index)
      throw unreadable(`a cell names text ${index} of ${this.#count} shared ones`, { index, texts: this.#count })
  }

  /** A text that `ensure` was called for. */
  get(index: number): string {
    if (index < this.#kept.length) return this.#kept[index]!
    const place = this.#places[index]!
    const block = this.#blocks[Math.floor(place / blockBytes)]!
    const at = place % blockBytes
    return block.toString('utf8', at + 4, at + 4 + block.readUInt32LE(at))
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  #add(text: string): void {
    const bytes = Buffer.byteLength(text)
    if (this.#used + 4 + bytes > blockBytes) {
      if ((this.#blocks.length + 1) * blockBytes + this.#places.byteLength > this.#maxBytes) throw this.#tooLarge()
      this.#blocks.push(Buffer.allocUnsafeSlow(blockBytes))
      this.#used = 0
    }
    if (this.#count === this.#places.length) {
      if (this.#blocks.length * blockBytes + 2 * this.#places.byteLength > this.#maxBytes) throw this.#tooLarge()
      const wider = new Uint32Array(this.#places.length * 2)
      wider.set(this.#places)
      this.#places = wider
    }
    const block = this.#blocks.at(-1)!
    block.writeUInt32LE(bytes, this.#used)
    block.write(text, this.#used + 4)
    this.#places[this.#count] = (this.#blocks.length - 1) * blockBytes + this.#used
    this.#used += 4 + bytes
    // Read back, because a text as it was parsed keeps all of the chunk alive that it is a part of.
    const isKept = this.#count === this.#kept.length && this.#count < keptCount && text.length <= keptChars
    this.#count++
    if (isKept) this.#kept.push(this.get(this.#count - 1))
  }

  #tooLarge(): LoyaltyError {
    return new LoyaltyError(
      'workbook_texts_too_large',
      `the texts of the workbook take more than ${this.#maxBytes} bytes; save the sheet as CSV and send that`,
      { details: { maxBytes: this.#maxBytes, texts: this.#count } },
    )
  }
}
