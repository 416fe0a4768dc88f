import { LoyaltyError } from '#streams/core/error.ts'
import { maxTokenChars } from './xml.ts'

/** A text of a workbook: `<t>`, or runs of rich text with one each; how a word is pronounced (`<rPh>`) is left out. */
export class TextCollector {
  #text = ''
  #isText = false
  #spoken = 0

  begin(): void {
    this.#text = ''
    this.#isText = false
    this.#spoken = 0
  }

  open(name: string): void {
    if (name === 't') this.#isText = this.#spoken === 0
    else if (name === 'rPh') this.#spoken++
  }

  /** Errors: `cell_too_long`. */
  text(text: string): void {
    if (!this.#isText) return
    this.#text += text
    if (this.#text.length > maxTokenChars) throw cellTooLong()
  }

  close(name: string): void {
    if (name === 't') this.#isText = false
    else if (name === 'rPh') this.#spoken--
  }

  end(): string {
    return unescaped(this.#text)
  }
}

/** Characters that XML cannot hold are written as `_x000D_` (ECMA-376, part 1, 22.9.2.19). Errors: `file_not_text`. */
export function unescaped(text: string): string {
  const plain = text.includes('_x')
    ? text.replace(/_x([0-9A-Fa-f]{4})_/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    : text
  if (plain !== text && plain.includes('\0'))
    throw new LoyaltyError('file_not_text', 'a cell of the workbook holds U+0000: it is damaged; export it again')
  return plain
}

export function cellTooLong(details: Readonly<Record<string, string | number>> = {}): LoyaltyError {
  return new LoyaltyError(
    'cell_too_long',
    `a cell of the workbook has more than ${maxTokenChars} characters: is it a table?`,
    { details: { maxChars: maxTokenChars, ...details } },
  )
}
