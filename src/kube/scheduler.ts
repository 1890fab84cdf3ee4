import { type Clock, systemClock } from '../base/clock.ts'

/** The clock with alarms, so that tests decide when time passes. */
export interface Scheduler extends Clock {
  /** Calls back once after `delayMs`; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void
}

// setTimeout takes a signed 32-bit number of milliseconds; more than that fires at once (Node's documentation of timers).
const longestTimerMs = 2 ** 31 - 1

export const systemScheduler: Scheduler = {
  ...systemClock,
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), longestTimerMs))
    return () => clearTimeout(timer)
  },
}

/** Resolves after `delayMs`; rejected with the signal's reason when it aborts. */
export function sleep(scheduler: Scheduler, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = (): void => {
      cancel()
      reject(signal.reason as Error)
    }
    const cancel = scheduler.after(delayMs, () => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

/** A number from 0 up to but not including 1; `Math.random` in production. */
export type Random = () => number
