/** Wall time and what happens later: how the emulated cloud takes its time. */
export interface Scheduler {
  readonly nowMs: () => number
  /** Runs `work` once, later. The scheduler's owner hears of its failure. */
  readonly after: (delayMs: number, work: () => Promise<void>) => void
}

/** Real timers, all of which end with it. */
export class SystemScheduler implements Scheduler, Disposable {
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #failed: (error: unknown) => void

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed
  }

  readonly nowMs = (): number => Date.now()

  readonly after = (delayMs: number, work: () => Promise<void>): void => {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      work().catch(this.#failed)
    }, delayMs)
    this.#timers.add(timer)
  };

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}

/** Time that passes only when told to. */
export class VirtualScheduler implements Scheduler {
  #nowMs: number
  #tasks: { readonly atMs: number; readonly work: () => Promise<void> }[] = []

  constructor(startMs: number) {
    this.#nowMs = startMs
  }

  readonly nowMs = (): number => this.#nowMs

  readonly after = (delayMs: number, work: () => Promise<void>): void => {
    this.#tasks.push({ atMs: this.#nowMs + delayMs, work })
  }

  /** Does all that falls due, in its order, including what that brings about. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs
    for (;;) {
      const next = this.#tasks.toSorted((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#tasks = this.#tasks.filter((task) => task !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      await next.work()
    }
    this.#nowMs = untilMs
  }
}
