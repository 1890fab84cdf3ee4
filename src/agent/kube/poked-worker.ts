import type { Logger } from '../../base/logger.ts'
import type { Result } from '../../base/result.ts'
import { Backoff, type BackoffOptions } from '../../kube/backoff.ts'
import { type Random, type Scheduler, sleep } from '../../kube/scheduler.ts'

export interface PokedWorkerOptions {
  /** For the log. */
  readonly name: string
  /** Succeeds with the time after which it wants to run again without a poke, or fails with a sentence. */
  readonly work: (signal: AbortSignal) => Promise<Result<number | undefined, string>>
  /** Between the end of one run and the start of the next: pokes meanwhile become one. */
  readonly spacingMs: number
  /** So many runs may follow a quiet time without spacing: what belongs together need not come at once. By default 1. */
  readonly burst?: number
  /** From a poke to its run, for what comes at the same time by another way. By default 0. */
  readonly settleMs?: number
  readonly backoff: BackoffOptions
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
}

/** Runs its work once for all pokes since the last run, never twice at once, and after failures more and more slowly. */
export class PokedWorker {
  readonly #options: PokedWorkerOptions
  #poked = Promise.withResolvers<undefined>()
  #lastError: string | undefined

  constructor(options: PokedWorkerOptions) {
    this.#options = options
  }

  /** Why the last run failed; undefined when it did not. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  poke(): void {
    this.#poked.resolve(undefined)
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { scheduler, spacingMs, burst = 1, settleMs = 0, backoff, random } = this.#options
    const retries = new Backoff(backoff, random)
    let againMs: number | undefined
    // When the runs so far would have ended, had all of them been spaced.
    let spacedEndMs = 0
    try {
      for (;;) {
        await this.#next(againMs, signal)
        if (settleMs > 0) await sleep(scheduler, settleMs, signal)
        this.#poked = Promise.withResolvers<undefined>()
        const done = await this.#attempt(signal)
        if (done.ok) retries.reset()
        againMs = done.ok ? done.value : 0
        const nowMs = scheduler.monotonicMs()
        spacedEndMs = Math.max(spacedEndMs, nowMs) + spacingMs
        const restMs = Math.max(0, spacedEndMs - (burst - 1) * spacingMs - nowMs)
        await sleep(scheduler, done.ok ? restMs : Math.max(spacingMs, retries.nextMs()), signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async #attempt(signal: AbortSignal): Promise<Result<number | undefined, string>> {
    const { name, work, logger } = this.#options
    try {
      const done = await work(signal)
      if (!done.ok) {
        // The same sentence at every attempt would bury the others.
        const isNew = done.error !== this.#lastError
        logger[isNew ? 'warn' : 'debug']('kube.work.failed', { name, problem: done.error })
      }
      this.#lastError = done.ok ? undefined : done.error
      return done
    } catch (error) {
      signal.throwIfAborted()
      logger.error('kube.work.crashed', { name, error })
      this.#lastError = error instanceof Error ? error.message : String(error)
      return { ok: false, error: this.#lastError }
    }
  }

  async #next(againMs: number | undefined, signal: AbortSignal): Promise<void> {
    const stop = new AbortController()
    const either = AbortSignal.any([signal, stop.signal])
    // Without a time of its own it waits for a poke for as long as a timer can.
    const timer = sleep(this.#options.scheduler, againMs ?? Infinity, either)
    try {
      await Promise.race([this.#poked.promise, timer])
    } finally {
      stop.abort()
      await timer.catch(() => undefined)
    }
    signal.throwIfAborted()
  }
}
