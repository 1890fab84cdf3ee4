import type { Clock } from '../../base/clock.ts'
import type { CalicoWatch } from './calico-watch.ts'

/** Rules of both backends are asked for, of four kinds. */
export const calicoIntervalMs = 10_000

/** Decides when to look for Calico's rules. */
export class CalicoSeeker {
  readonly #watch: Pick<CalicoWatch, 'refusal' | 'lookAgain' | 'seen'>
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #soughtMs = -Infinity
  #refusal: string | undefined

  constructor(watch: Pick<CalicoWatch, 'refusal' | 'lookAgain' | 'seen'>, clock: Pick<Clock, 'monotonicMs'>) {
    this.#watch = watch
    this.#clock = clock
  }

  /** As of the last look before there were rules. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  get seen(): readonly string[] {
    return this.#watch.seen
  }

  /** Before there are rules. When to ask again; undefined: it has looked. With `isLast` rules follow unless it refuses. */
  seekFirst(isLast: boolean): number | undefined {
    const restMs = this.#restMs()
    if (restMs > 0 && !(isLast && this.#refusal === undefined)) return restMs
    this.#soughtMs = this.#clock.monotonicMs()
    this.#refusal = this.#watch.refusal()
    return undefined
  }

  /** While there are rules. */
  seekAgain(): void {
    if (this.#restMs() > 0) return
    this.#soughtMs = this.#clock.monotonicMs()
    this.#watch.lookAgain()
  }

  #restMs(): number {
    return this.#soughtMs + calicoIntervalMs - this.#clock.monotonicMs()
  }
}
