/** Wakes one waiting loop. A raise that nobody waits for is remembered, so that none is missed. */
export class Signal {
  #raised = false
  #waiter: (() => void) | null = null

  raise(): void {
    this.#raised = true
    this.#waiter?.()
  }

  /** Resolves at the next raise, or at once where one is remembered. */
  async raised(): Promise<void> {
    if (!this.#raised)
      await new Promise<void>((resolve) => {
        this.#waiter = resolve
      })
    this.#waiter = null
    this.#raised = false
  }

  /** As `raised`, but at most `ms` milliseconds. */
  async raisedWithin(ms: number): Promise<void> {
    const timer = setTimeout(() => this.raise(), ms)
    await this.raised()
    clearTimeout(timer)
  }
}
