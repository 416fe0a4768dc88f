/** Headers of a record as one JSON text: `{"name": "text"}`, and `{"name": {"base64": "…"}}` for what is no UTF-8. */

type Headers = Readonly<Record<string, Uint8Array>>

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Null where there are none. */
export function headersText(headers: Headers, leftOut: readonly string[] = []): string | null {
  const entries = Object.entries(headers).filter(([name]) => !leftOut.includes(name))
  if (entries.length === 0) return null
  return JSON.stringify(Object.fromEntries(entries.map(([name, bytes]) => [name, told(bytes)])))
}

export function headersOf(text: string | null): Record<string, Uint8Array> {
  if (text === null) return {}
  const entries = Object.entries(JSON.parse(text) as Record<string, string | { base64: string }>)
  return Object.fromEntries(
    entries.map(([name, told]) => [
      name,
      typeof told === 'string' ? Buffer.from(told) : Buffer.from(told.base64, 'base64'),
    ]),
  )
}

function told(bytes: Uint8Array): string | { base64: string } {
  try {
    return utf8.decode(bytes)
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') }
  }
}
