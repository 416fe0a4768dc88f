/** An answer, or none yet. */
type NotYet<T> = T | false | null | undefined

/**
 * Polls `attempt` until it neither throws nor returns `false`, `null` or `undefined`, and answers what it returned (0 and
 * '' count as answers). After `timeoutMs` (default 12 s) it throws the last error, or says that the condition never held.
 */
export async function eventually<T>(
  attempt: () => NotYet<T> | Promise<NotYet<T>>,
  options: { timeoutMs?: number; everyMs?: number; what?: string } = {},
): Promise<T> {
  const { timeoutMs = 12_000, everyMs = 10, what = 'the condition' } = options
  const deadline = performance.now() + timeoutMs
  for (;;) {
    let failure: unknown
    try {
      const value = await attempt()
      if (value !== false && value !== null && value !== undefined) return value
      failure = new Error(`${what} did not hold within ${timeoutMs} ms (last answer: ${String(value)})`)
    } catch (error) {
      failure = error
    }
    if (performance.now() >= deadline) throw failure
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
