/** True where `bytes` from `from` to `to` are those of `others` from `at` on; no view is made of either. */
export function sameBytes(bytes: Uint8Array, from: number, to: number, others: Uint8Array, at: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== others[at + i - from]) return false
  return true
}
