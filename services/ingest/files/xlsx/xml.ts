import { TextDecoder } from 'node:util'
import { SaxesParser } from 'saxes'
import { LoyaltyError, messageOf } from '#streams/core/error.ts'
import { markOf, utf16ByZeros } from '../encoding.ts'
import { unreadable } from './faults.ts'

/**
 * XML of a workbook as a stream of events. By saxes: strict, without a dependency of weight, the parser of jsdom and as
 * finished as XML is; measured here at twice the speed of sax. It never resolves an entity that a file declares, and what
 * it would keep without bound is bounded here.
 *
 * The readers of whole workbooks were not taken: exceljs is not kept up, and like its forks and the smaller ones it holds
 * every shared string, trusts references and sizes, and turns dates into instants of the machine's time zone.
 */

export type Attributes = Readonly<Record<string, string>>

/** Names are those of the main namespace, without its prefix; elements of others keep theirs. */
export interface XmlHandler {
  open(name: string, attributes: Attributes): void
  text(text: string): void
  close(name: string): void
}

/** Text, tag or comment; Excel's longest cell has 32,767 characters. */
export const maxTokenChars = 1024 * 1024
const maxDepth = 64

export class XmlReader {
  readonly #part: string
  readonly #parser = new SaxesParser({ xmlns: false, position: false })
  #decoder: TextDecoder | null = null
  /** With its colon; '' where the main namespace is the default one. */
  #prefix: string | null = null
  #depth = 0
  #isMoving = false
  #pending = 0

  constructor(part: string, handler: XmlHandler) {
    this.#part = part
    const parser = this.#parser
    // No more than is needed: with an eighth handler V8 keeps the parser as a table of properties, at a sixth of the speed.
    parser.on('opentag', ({ name, attributes }) => {
      this.#isMoving = true
      if (++this.#depth > maxDepth) throw this.#unreadable('its elements are nested too deep')
      handler.open(this.#local(name), attributes as Attributes)
    })
    parser.on('closetag', ({ name }) => {
      this.#isMoving = true
      this.#depth--
      handler.close(this.#local(name))
    })
    parser.on('text', (text) => {
      this.#isMoving = true
      handler.text(text)
    })
    parser.on('cdata', (text) => {
      this.#isMoving = true
      handler.text(text)
    })
    parser.on('doctype', () => {
      throw this.#unreadable('it declares a document type, as no workbook does')
    })
    parser.on('xmldecl', ({ encoding }) => {
      if (encoding !== undefined && !/^utf-?(8|16)$/i.test(encoding))
        throw this.#unreadable(`it is in ${encoding.slice(0, 40)}; workbooks are in UTF-8`)
    })
  }

  /** How the main namespace is written, with its colon. */
  get prefix(): string {
    return this.#prefix ?? ''
  }

  /** Errors: `workbook_unreadable` (details.part), and those of the handler. */
  push(chunk: Buffer): void {
    this.#decoder ??= new TextDecoder(markOf(chunk)?.encoding ?? utf16ByZeros(chunk) ?? 'utf-8', { fatal: true })
    const decoder = this.#decoder
    this.#isMoving = false
    this.#guard(() => this.#parser.write(decoder.decode(chunk, { stream: true })))
    this.#pending = this.#isMoving ? 0 : this.#pending + chunk.length
    if (this.#pending > maxTokenChars)
      throw this.#unreadable(`a text or a tag in it is longer than ${maxTokenChars} characters`)
  }

  end(): void {
    this.#guard(() => {
      const rest = this.#decoder?.decode() ?? ''
      this.#parser.write(rest).close()
    })
  }

  #guard(parse: () => void): void {
    try {
      parse()
    } catch (cause) {
      if (cause instanceof LoyaltyError) throw cause
      throw this.#unreadable(`it is no well-formed XML: ${messageOf(cause)}`)
    }
  }

  #local(name: string): string {
    if (this.#prefix === null) {
      const colon = name.indexOf(':')
      this.#prefix = name.slice(0, colon + 1)
    }
    const prefix = this.#prefix
    if (prefix === '') return name
    return name.startsWith(prefix) ? name.slice(prefix.length) : `:${name}`
  }

  #unreadable(why: string): LoyaltyError {
    return unreadable(`${this.#part}: ${why}`, { part: this.#part })
  }
}

/** An attribute by its name in a namespace whose prefix the file chose. */
export function prefixed(attributes: Attributes, name: string): string | undefined {
  const key = Object.keys(attributes).find((each) => each.endsWith(`:${name}`))
  return key === undefined ? undefined : attributes[key]
}
