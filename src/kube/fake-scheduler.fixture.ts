import type { Scheduler } from './scheduler.ts'

/** Time stands still until the test lets it pass. */
export class FakeScheduler implements Scheduler {
  readonly #wallOffsetMs: number
  #nowMs = 0
  #alarms: { readonly dueMs: number; readonly callback: () => void }[] = []

  constructor(wallOffsetMs = Date.parse('2026-03-01T00:00:00Z')) {
    this.#wallOffsetMs = wallOffsetMs
  }

  readonly nowMs = (): number => this.#wallOffsetMs + this.#nowMs
  readonly monotonicMs = (): number => this.#nowMs

  after(delayMs: number, callback: () => void): () => void {
    const alarm = { dueMs: this.#nowMs + Math.max(delayMs, 0), callback }
    this.#alarms.push(alarm)
    return () => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm)
    }
  }

  /** Lets what is due happen, in order, and what follows from it settle in between. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs
    await settled()
    for (;;) {
      const next = this.#alarms.filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0]
      if (next === undefined) break
      this.#alarms = this.#alarms.filter((alarm) => alarm !== next)
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.callback()
      await settled()
    }
    this.#nowMs = untilMs
  }

  /** The same time, seen on a wall clock that is wrong by `byMs`. */
  skewed(byMs: number): Scheduler {
    return {
      nowMs: () => this.nowMs() + byMs,
      monotonicMs: this.monotonicMs,
      after: (delayMs, callback) => this.after(delayMs, callback),
    }
  }
}

/** After everything that is only waiting for promises. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
}
