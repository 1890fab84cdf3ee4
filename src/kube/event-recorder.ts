import type { Logger } from '../base/logger.ts'
import type { ApiClient } from './api-client.ts'
import { type ApiError, formatApiError } from './api-error.ts'
import { Backoff } from './backoff.ts'
import { EventCorrelator, type EventFacts, type EventWrite } from './event-correlator.ts'
import type { Manifest } from './object.ts'
import { events } from './resources.ts'
import { type Random, type Scheduler, sleep } from './scheduler.ts'

export interface EventRecorderOptions {
  readonly client: Pick<ApiClient, 'create' | 'patch'>
  /** Who speaks, such as `vcn-cni-controller`, and which of them: pod or node name. */
  readonly component: string
  readonly instance: string
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
}

export interface EventRecorderStats {
  readonly recordedTotal: number
  readonly writtenTotal: number
  /** Refused by the rate limit of their object, or given up after retries. */
  readonly droppedTotal: number
  readonly pending: number
}

const attemptsAnEvent = 5
const mostPending = 1_000

/** Tells the story of objects as Events, in the background: losing one is never the caller's problem. */
export class EventRecorder {
  readonly #options: EventRecorderOptions
  readonly #correlator: EventCorrelator
  // By correlation key: a repeat of an event that waits to be written only raises its count.
  readonly #pending = new Map<string, EventWrite>()
  #wake = Promise.withResolvers<undefined>()
  #recordedTotal = 0
  #writtenTotal = 0
  #droppedTotal = 0

  constructor(options: EventRecorderOptions) {
    this.#options = options
    this.#correlator = new EventCorrelator(options.scheduler)
  }

  record(facts: EventFacts): void {
    this.#recordedTotal++
    const write = this.#correlator.correlate(facts)
    if (write === undefined || (this.#pending.size >= mostPending && !this.#pending.has(write.key))) {
      this.#droppedTotal++
      return
    }
    this.#pending.set(write.key, write)
    this.#wake.resolve(undefined)
  }

  stats(): EventRecorderStats {
    return {
      recordedTotal: this.#recordedTotal,
      writtenTotal: this.#writtenTotal,
      droppedTotal: this.#droppedTotal,
      pending: this.#pending.size,
    }
  }

  /** Writes what is recorded until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    while (!signal.aborted) {
      const [next] = this.#pending.values()
      if (next === undefined) {
        await Promise.race([this.#wake.promise, aborted])
        this.#wake = Promise.withResolvers()
        continue
      }
      this.#pending.delete(next.key)
      await this.#deliver(next, signal)
    }
  }

  async #deliver(write: EventWrite, signal: AbortSignal): Promise<void> {
    const { scheduler, random, logger } = this.#options
    const backoff = new Backoff({ baseMs: 500, maxMs: 10_000 }, random)
    try {
      for (let attempt = 1; ; attempt++) {
        const failure = await this.#write(write, signal)
        if (failure === undefined) {
          this.#writtenTotal++
          return
        }
        if (attempt === attemptsAnEvent || !isTransient[failure.kind]) {
          this.#droppedTotal++
          logger.warn('kube.event.dropped', { reason: write.facts.reason, error: formatApiError(failure) })
          return
        }
        const asked = 'retryAfterMs' in failure ? (failure.retryAfterMs ?? 0) : 0
        await sleep(scheduler, Math.max(backoff.nextMs(), asked), signal)
      }
    } catch (error) {
      this.#droppedTotal++
      if (!signal.aborted) logger.error('kube.event.crashed', { reason: write.facts.reason, error })
    }
  }

  async #write(write: EventWrite, signal: AbortSignal): Promise<ApiError | undefined> {
    const { client } = this.#options
    const ref = this.#correlator.writtenAs(write.key)
    if (ref !== undefined) {
      const body = { count: write.count, message: write.message, lastTimestamp: timestamp(write.lastMs) }
      const patched = await client.patch(events, ref, { type: 'merge', body }, signal)
      // Events expire after an hour: begin a new one.
      if (patched.ok || patched.error.kind !== 'notFound') return patched.ok ? undefined : patched.error
    }
    const created = await client.create(events, this.#manifest(write), signal)
    // Taken means that an earlier attempt arrived although its answer did not.
    if (!created.ok && created.error.kind !== 'alreadyExists') return created.error
    this.#correlator.wasWritten(write)
    return undefined
  }

  #manifest({ facts, name, namespace, message, count, firstMs, lastMs }: EventWrite): Manifest {
    const { component, instance } = this.#options
    return {
      metadata: { name, namespace },
      involvedObject: facts.regarding,
      type: facts.type,
      reason: facts.reason,
      message,
      action: facts.action ?? facts.reason,
      count,
      firstTimestamp: timestamp(firstMs),
      lastTimestamp: timestamp(lastMs),
      source: { component, host: instance },
      reportingComponent: component,
      reportingInstance: instance,
    }
  }
}

const isTransient: Readonly<Record<ApiError['kind'], boolean>> = {
  conflict: true,
  server: true,
  timeout: true,
  tooManyRequests: true,
  unauthorized: true,
  unreachable: true,
  alreadyExists: false,
  forbidden: false,
  gone: false,
  invalid: false,
  malformed: false,
  notFound: false,
}

// metav1.Time has whole seconds.
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
