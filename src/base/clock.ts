/** Time as a dependency, so that plans and tests are not at the mercy of the machine's clock. */
export interface Clock {
  /** Milliseconds since the epoch; may jump. For what is written down. */
  readonly nowMs: () => number
  /** Milliseconds from an arbitrary start; never jumps. For durations. */
  readonly monotonicMs: () => number
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
}
