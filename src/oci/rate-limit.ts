import type { Clock } from '../base/clock.ts'
import type { Operation } from './oci-error.ts'
import type { Sleep } from './sleep.ts'

export interface RateSettings {
  /** Never exceeded. Oracle's own controller takes 20. */
  readonly perSecond: number
  readonly burst: number
  /** Never below, however often the API says no. */
  readonly leastPerSecond: number
}

export const defaultRate: RateSettings = { perSecond: 20, burst: 5, leastPerSecond: 0.5 }

/** A token bucket whose rate follows what the API lets through. Times are monotonic milliseconds. */
export interface Bucket {
  readonly tokens: number
  readonly perSecond: number
  /** What was too much lately: up to here the rate comes back fast, beyond it slowly. */
  readonly suspectPerSecond: number
  readonly atMs: number
  readonly blockedUntilMs: number
  readonly lastCutMs: number
  readonly lastRefusalMs: number
}

// Additive increase, multiplicative decrease, with a fast part as in TCP's slow start (RFC 5681 section 3.1): a cut
// by chance costs half a second's worth of calls and not ten seconds'.
const fastRecovery = 0.5
const slowRecovery = 0.025
const suspicion = 0.9
/** A second refusal within this time cuts the rate; further ones of calls that were under way then do not cut again. */
const cutIntervalMs = 1000

export function fullBucket(settings: RateSettings, nowMs: number): Bucket {
  const { perSecond, burst } = settings
  return {
    tokens: burst,
    perSecond,
    suspectPerSecond: perSecond,
    atMs: nowMs,
    blockedUntilMs: -Infinity,
    lastCutMs: -Infinity,
    lastRefusalMs: -Infinity,
  }
}

/** The bucket as time has filled it, at the rate of before; and then the rate as time has raised it. */
export function advance(bucket: Bucket, settings: RateSettings, nowMs: number): Bucket {
  const seconds = Math.max(0, nowMs - bucket.atMs) / 1000
  const isSuspect = bucket.perSecond >= bucket.suspectPerSecond
  const recovery = settings.perSecond * seconds * (isSuspect ? slowRecovery : fastRecovery)
  const ceiling = isSuspect ? settings.perSecond : bucket.suspectPerSecond
  return {
    ...bucket,
    tokens: Math.min(settings.burst, bucket.tokens + bucket.perSecond * seconds),
    perSecond: Math.min(ceiling, settings.perSecond, bucket.perSecond + recovery),
    atMs: Math.max(nowMs, bucket.atMs),
  }
}

/** How long until one call may go out; 0 is now. Of an advanced bucket. */
export function waitMs(bucket: Bucket): number {
  const blockedMs = Math.max(0, bucket.blockedUntilMs - bucket.atMs)
  const emptyMs = bucket.tokens >= 1 ? 0 : ((1 - bucket.tokens) / bucket.perSecond) * 1000
  return Math.max(blockedMs, emptyMs)
}

export function spend(bucket: Bucket): Bucket {
  return { ...bucket, tokens: bucket.tokens - 1 }
}

/** After a 429. Of an advanced bucket. */
export function cut(bucket: Bucket, settings: RateSettings, retryAfterMs: number): Bucket {
  const blockedUntilMs = Math.max(bucket.blockedUntilMs, bucket.atMs + retryAfterMs)
  if (bucket.atMs - bucket.lastCutMs < cutIntervalMs) return { ...bucket, blockedUntilMs }
  const refused = { ...bucket, blockedUntilMs, tokens: Math.min(bucket.tokens, 0), lastRefusalMs: bucket.atMs }
  // One refusal alone need not mean that the rate is too high: others use the quota, too.
  const companyMs = Math.max(cutIntervalMs, 2000 / bucket.perSecond)
  if (bucket.atMs - bucket.lastRefusalMs >= companyMs) return refused
  return {
    ...refused,
    perSecond: Math.max(settings.leastPerSecond, bucket.perSecond / 2),
    suspectPerSecond: Math.max(settings.leastPerSecond, bucket.perSecond * suspicion),
    lastCutMs: bucket.atMs,
  }
}

export interface RateLimiterOptions {
  readonly settings?: RateSettings
  readonly clock: Clock
  readonly sleep: Sleep
  /** 0 up to, not including, 1. */
  readonly random: () => number
}

interface Lane {
  bucket: Bucket
  /** Settled when everybody who came before has gone. */
  tail: Promise<void>
  waiting: number
}

/** One bucket an operation, for all callers of the process: quotas are the tenancy's, not the caller's. */
export class RateLimiter {
  readonly #lanes = new Map<Operation, Lane>()
  readonly #waitersBySignal = new WeakMap<AbortSignal, Set<(reason: unknown) => void>>()
  readonly #settings: RateSettings
  readonly #options: RateLimiterOptions

  constructor(options: RateLimiterOptions) {
    this.#settings = options.settings ?? defaultRate
    this.#options = options
  }

  /** Resolves when it is the caller's turn, first come first served. Rejects with the signal's reason. */
  async take(operation: Operation, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const lane = this.#lane(operation)
    const before = lane.tail
    const turn = Promise.withResolvers<undefined>()
    // Whoever gives up leaves the queue without letting the next one overtake those before.
    lane.tail = Promise.all([before, turn.promise]).then(() => undefined)
    lane.waiting++
    try {
      await this.#unlessAborted(before, signal)
      await this.#spend(lane, signal)
    } finally {
      lane.waiting--
      turn.resolve(undefined)
    }
  }

  throttled(operation: Operation, retryAfterMs = 0): void {
    const lane = this.#lane(operation)
    lane.bucket = cut(this.#advanced(lane), this.#settings, retryAfterMs)
  }

  /** For metrics: calls a second now allowed, and callers in the queue. */
  state(operation: Operation): { readonly perSecond: number; readonly waiting: number } {
    const lane = this.#lane(operation)
    return { perSecond: this.#advanced(lane).perSecond, waiting: lane.waiting }
  }

  async #spend(lane: Lane, signal: AbortSignal): Promise<void> {
    for (;;) {
      lane.bucket = this.#advanced(lane)
      const remainingMs = waitMs(lane.bucket)
      if (remainingMs <= 0) break
      // Never early; a little late, so that several controllers do not knock at the same instant. Timers have whole
      // milliseconds, and what is lost by lateness the bucket has gained meanwhile.
      await this.#options.sleep(Math.ceil(remainingMs * (1 + 0.1 * this.#options.random())), signal)
    }
    lane.bucket = spend(lane.bucket)
  }

  #advanced(lane: Lane): Bucket {
    return advance(lane.bucket, this.#settings, this.#options.clock.monotonicMs())
  }

  #lane(operation: Operation): Lane {
    const found = this.#lanes.get(operation)
    if (found !== undefined) return found
    const bucket = fullBucket(this.#settings, this.#options.clock.monotonicMs())
    const lane: Lane = { bucket, tail: Promise.resolve(), waiting: 0 }
    this.#lanes.set(operation, lane)
    return lane
  }

  // One listener a signal, however many wait: AbortSignal looks through all of its listeners to remove one.
  async #unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>()
    const waiting = this.#waitingOn(signal)
    waiting.add(aborted.reject)
    try {
      await Promise.race([work, aborted.promise])
    } finally {
      waiting.delete(aborted.reject)
    }
  }

  #waitingOn(signal: AbortSignal): Set<(reason: unknown) => void> {
    const found = this.#waitersBySignal.get(signal)
    if (found !== undefined) return found
    const waiting = new Set<(reason: unknown) => void>()
    const rejectAll = (): void => {
      for (const reject of waiting) reject(signal.reason)
    }
    signal.addEventListener('abort', rejectAll, { once: true })
    this.#waitersBySignal.set(signal, waiting)
    return waiting
  }
}
