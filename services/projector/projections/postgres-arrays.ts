/**
 * Array literals of PostgreSQL, built by hand: one text parameter per column is the cheapest way to hand thousands of rows
 * to `unnest`, and several times cheaper than letting the driver render them.
 */

export function numbers(values: Iterable<number | null>): string {
  let text = '{'
  for (const value of values) text += text.length === 1 ? (value ?? 'NULL') : `,${value ?? 'NULL'}`
  return `${text}}`
}

/** Text without what PostgreSQL cannot store: NUL and half surrogate pairs become U+FFFD. */
export function texts(values: Iterable<string | null>): string {
  let text = '{'
  for (const value of values) {
    if (text.length > 1) text += ','
    text += value === null ? 'NULL' : quoted(value)
  }
  return `${text}}`
}

/** Values as JSON, for an array of jsonb. */
export function jsons(values: Iterable<unknown>): string {
  return texts(mapped(values, (value) => (value === null ? null : JSON.stringify(value, cleaned))))
}

/** An array of text as one element of an array of text, to be cast with ::text[]. */
export function nested(values: Iterable<readonly string[]>): string {
  return texts(mapped(values, texts))
}

function quoted(value: string): string {
  const clean = cleanText(value)
  return plain.test(clean) ? `"${clean}"` : `"${clean.replace(/["\\]/g, '\\$&')}"`
}

const plain = /^[^"\\]*$/

/** As PostgreSQL can store it. */
export function cleanText(value: string): string {
  const whole = value.isWellFormed() ? value : value.toWellFormed()
  return whole.includes('\0') ? whole.replaceAll('\0', '\ufffd') : whole
}

function cleaned(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? cleanText(value) : value
}

function* mapped<From, To>(values: Iterable<From>, of: (value: From) => To): Generator<To> {
  for (const value of values) yield of(value)
}
