/**
 * True for the first of the lines of a key that say the same but for the number of their row, which they begin with. Of a
 * key so many are remembered at `most`.
 */
export function isFirst(seen: Map<string, Set<string>>, key: string, line: string, most: number): boolean {
  const content = line.slice(line.indexOf(','))
  const contents = seen.get(key)
  if (contents === undefined) seen.set(key, new Set([content]))
  else if (contents.has(content)) return false
  else if (contents.size < most) contents.add(content)
  return true
}
