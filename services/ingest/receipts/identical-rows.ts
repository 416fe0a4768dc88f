/** True for the first of the rows of a key that have a content. Of a key so many are remembered at `most`. */
export function isFirst(seen: Map<string, Set<string>>, key: string, content: string, most: number): boolean {
  const contents = seen.get(key)
  if (contents === undefined) seen.set(key, new Set([content]))
  else if (contents.has(content)) return false
  else if (contents.size < most) contents.add(content)
  return true
}
