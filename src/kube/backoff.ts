import type { Random } from './scheduler.ts'

export interface BackoffOptions {
  readonly baseMs: number
  readonly maxMs: number
}

/** Delays that double from `baseMs` to `maxMs`, each drawn from its upper half; back to the start after `reset`. */
export class Backoff {
  readonly #options: BackoffOptions
  readonly #random: Random
  #failures = 0

  constructor(options: BackoffOptions, random: Random) {
    this.#options = options
    this.#random = random
  }

  nextMs(): number {
    return backoffMs(this.#options, this.#failures++, this.#random)
  }

  reset(): void {
    this.#failures = 0
  }
}

/** Half of it is certain and half is chance: what failed together does not come back together. */
export function backoffMs({ baseMs, maxMs }: BackoffOptions, failures: number, random: Random): number {
  return Math.min(baseMs * 2 ** failures, maxMs) * (0.5 + random() / 2)
}
