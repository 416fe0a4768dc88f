/** Wall clock as a port: milliseconds since the epoch, UTC. The domain never sees it. */
export interface Clock {
  nowMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now() }
