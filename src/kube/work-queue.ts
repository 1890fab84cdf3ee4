import { type BackoffOptions, backoffMs } from './backoff.ts'
import type { Random, Scheduler } from './scheduler.ts'

export interface WorkQueueOptions {
  readonly scheduler: Scheduler
  readonly random: Random
  /** Delay of a key's first retry; doubles with each further one. */
  readonly baseDelayMs?: number
  readonly maxDelayMs?: number
}

/** For metrics. */
export interface WorkQueueStats {
  /** Keys ready to be taken. */
  readonly depth: number
  /** How long the oldest of them has been ready. */
  readonly oldestAgeMs: number
  readonly processing: number
  /** Keys that become ready later. */
  readonly delayed: number
  readonly addedTotal: number
  readonly retriesTotal: number
}

/** What a worker makes of a key. */
export type WorkOutcome =
  | { readonly kind: 'done' }
  /** Look again, though nothing failed. */
  | { readonly kind: 'after'; readonly delayMs: number }
  /** Failed: again after the key's back-off, or after `delayMs` when that is longer. */
  | { readonly kind: 'retry'; readonly delayMs?: number }

/**
 * Keys to work on, each at most once in the queue and never in two hands at a time (the semantics of client-go's workqueue):
 * a key added while it is being worked on comes back when it is done.
 */
export class WorkQueue<K extends string = string> {
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #backoff: BackoffOptions
  // A key is dirty from add until taken, and processing from taken until done; ready is the dirty ones nobody processes.
  readonly #ready = new Map<K, number>()
  // Keys that may wait for those.
  readonly #unhurried = new Map<K, number>()
  #taken = 0
  readonly #dirty = new Set<K>()
  readonly #processing = new Set<K>()
  readonly #delayed = new Map<K, { readonly dueMs: number; readonly cancel: () => void }>()
  readonly #failures = new Map<K, number>()
  readonly #waiting: ((key: K | undefined) => void)[] = []
  #isShutDown = false
  #addedTotal = 0
  #retriesTotal = 0

  constructor({ scheduler, random, baseDelayMs = 500, maxDelayMs = 5 * 60_000 }: WorkQueueOptions) {
    this.#scheduler = scheduler
    this.#random = random
    this.#backoff = { baseMs: baseDelayMs, maxMs: maxDelayMs }
  }

  add(key: K): void {
    this.#add(key, this.#ready)
  }

  /**
   * For work that has not begun: of a thousand keys that come at once, those that were begun are finished first. Every
   * fourth key taken is one of these, so that they get their turn whatever else comes.
   */
  addUnhurried(key: K): void {
    this.#add(key, this.#unhurried)
  }

  /** The earliest of several wishes for a key counts; an `add` meanwhile is not held back by it. */
  addAfter(key: K, delayMs: number): void {
    if (this.#isShutDown) return
    if (delayMs <= 0) {
      this.add(key)
      return
    }
    const dueMs = this.#scheduler.monotonicMs() + delayMs
    const earlier = this.#delayed.get(key)
    if (earlier !== undefined && earlier.dueMs <= dueMs) return
    earlier?.cancel()
    const cancel = this.#scheduler.after(delayMs, () => {
      this.#delayed.delete(key)
      this.add(key)
    })
    this.#delayed.set(key, { dueMs, cancel })
  }

  /** After the key's back-off, or `atLeastMs` when that is longer. Returns the delay chosen. */
  addRateLimited(key: K, atLeastMs = 0): number {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    this.#retriesTotal++
    const delayMs = Math.max(backoffMs(this.#backoff, failures, this.#random), atLeastMs)
    this.addAfter(key, delayMs)
    return delayMs
  }

  /** The key's next failure is its first again. */
  forget(key: K): void {
    this.#failures.delete(key)
  }

  failures(key: K): number {
    return this.#failures.get(key) ?? 0
  }

  /** The next key, now in the caller's hands until `done`; undefined once the queue is shut down or `signal` aborted. */
  next(signal: AbortSignal): Promise<K | undefined> {
    if (signal.aborted || this.#isShutDown) return Promise.resolve(undefined)
    const first = this.#first()
    if (first !== undefined) return Promise.resolve(this.#take(first))
    return new Promise((resolve) => {
      const settle = (key: K | undefined): void => {
        signal.removeEventListener('abort', onAbort)
        resolve(key)
      }
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(settle), 1)
        resolve(undefined)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(settle)
    })
  }

  done(key: K): void {
    if (!this.#processing.delete(key)) throw new Error(`${key} is not being worked on`)
    if (this.#dirty.has(key)) this.#makeReady(key, this.#ready)
  }

  stats(): WorkQueueStats {
    const [readyMs = Infinity] = this.#ready.values()
    const [unhurriedMs = Infinity] = this.#unhurried.values()
    const nowMs = this.#scheduler.monotonicMs()
    return {
      depth: this.#ready.size + this.#unhurried.size,
      oldestAgeMs: nowMs - Math.min(nowMs, readyMs, unhurriedMs),
      processing: this.#processing.size,
      delayed: this.#delayed.size,
      addedTotal: this.#addedTotal,
      retriesTotal: this.#retriesTotal,
    }
  }

  /** Nothing is given out or taken in any more; whoever waits gets undefined. */
  shutDown(): void {
    this.#isShutDown = true
    for (const { cancel } of this.#delayed.values()) cancel()
    this.#delayed.clear()
    this.#ready.clear()
    this.#unhurried.clear()
    this.#dirty.clear()
    for (const settle of this.#waiting.splice(0)) settle(undefined)
  }

  #add(key: K, ready: Map<K, number>): void {
    if (this.#isShutDown || this.#dirty.has(key)) return
    this.#addedTotal++
    this.#dirty.add(key)
    if (!this.#processing.has(key)) this.#makeReady(key, ready)
  }

  #makeReady(key: K, ready: Map<K, number>): void {
    if (this.#isShutDown) return
    ready.set(key, this.#scheduler.monotonicMs())
    const settle = this.#waiting.shift()
    if (settle !== undefined) settle(this.#take(key))
  }

  #first(): K | undefined {
    const [hurried] = this.#ready.keys()
    const [unhurried] = this.#unhurried.keys()
    return this.#taken % 4 === 3 ? (unhurried ?? hurried) : (hurried ?? unhurried)
  }

  #take(key: K): K {
    this.#taken++
    this.#ready.delete(key)
    this.#unhurried.delete(key)
    this.#dirty.delete(key)
    this.#processing.add(key)
    return key
  }
}

/**
 * Works on the queue with `workers` keys at a time until `signal` aborts; resolves when the last key in hand is done.
 * A worker that throws (a bug) does not end the others: the key is retried and `onCrash` told.
 */
export async function runWorkers<K extends string>(
  queue: WorkQueue<K>,
  workers: number,
  work: (key: K, signal: AbortSignal) => Promise<WorkOutcome>,
  onCrash: (key: K, error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const worker = async (): Promise<void> => {
    for (let key = await queue.next(signal); key !== undefined; key = await queue.next(signal)) {
      settle(queue, key, await attempt(key, work, onCrash, signal))
    }
  }
  await Promise.all(Array.from({ length: workers }, worker))
}

async function attempt<K extends string>(
  key: K,
  work: (key: K, signal: AbortSignal) => Promise<WorkOutcome>,
  onCrash: (key: K, error: unknown) => void,
  signal: AbortSignal,
): Promise<WorkOutcome> {
  try {
    return await work(key, signal)
  } catch (error) {
    // Being told to stop is not a failure of the key.
    if (!signal.aborted) onCrash(key, error)
    return { kind: 'retry' }
  }
}

function settle<K extends string>(queue: WorkQueue<K>, key: K, outcome: WorkOutcome): void {
  switch (outcome.kind) {
    case 'done':
      queue.forget(key)
      break
    case 'after':
      queue.forget(key)
      queue.addAfter(key, outcome.delayMs)
      break
    case 'retry':
      queue.addRateLimited(key, outcome.delayMs)
      break
  }
  queue.done(key)
}
