/** Keys of the state child's commit N: all of them change in it, each by a new value or by being deleted. */
export function loopKeys(commit: number): { readonly key: string; readonly kept: boolean }[] {
  return Array.from({ length: 3_000 }, (_, index) => ({ key: `key-${index}`, kept: (index + commit) % 7 !== 0 }))
}
