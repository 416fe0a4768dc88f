/** `work`, or `late` when it takes longer than `timeoutMs`; a failure after that is of no interest. */
export async function bounded<Value, Late>(work: Promise<Value>, late: Late, timeoutMs: number): Promise<Value | Late> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<Late>((resolve) => {
    timer = setTimeout(() => resolve(late), timeoutMs)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
    work.catch(() => {})
  }
}
