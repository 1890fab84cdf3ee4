import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../base/logger.ts'
import type { ApiClient, ObjectList, WatchItem, WatchQuery } from './api-client.ts'
import { type ApiError, formatApiError } from './api-error.ts'
import { Backoff, type BackoffOptions } from './backoff.ts'
import { type Indexer, type ObjectCache, WritableCache } from './cache.ts'
import { listAgain } from './list-again.ts'
import { type KubeObject, type MalformedObject, objectKey, type Resource } from './object.ts'
import type { ReflectorHealth } from './reflector-health.ts'
import { type Random, type Scheduler, sleep } from './scheduler.ts'

/** Called in the order of the changes, synchronously, after the cache has them. Across relists nothing is left out or told twice. */
export interface ObjectHandlers<T extends KubeObject> {
  readonly added?: (object: T) => void
  readonly updated?: (object: T, previous: T) => void
  /** With the last version seen. */
  readonly deleted?: (object: T) => void
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Pick<ApiClient, 'list' | 'watch'>
  readonly resource: Resource<T>
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly indexers?: Readonly<Record<string, Indexer<T>>>
  readonly handlers?: ObjectHandlers<T>
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
  readonly timing?: Partial<ReflectorTiming>
}

export interface ReflectorTiming {
  /** A watch lasts between this and twice as long, so that the reflectors of all nodes do not come back together. */
  readonly watchSeconds: number
  /** A watch that is silent for longer is taken for dead: bookmarks come about once a minute. */
  readonly silenceMs: number
  readonly backoff: BackoffOptions
}

const defaultTiming: ReflectorTiming = {
  watchSeconds: 300,
  silenceMs: 150_000,
  backoff: { baseMs: 800, maxMs: 30_000 },
}

/** A watch that ends sooner, with nothing said, is none. */
const lastingMs = 1000

/** Keeps a cache of a resource by list and watch, until told to stop, whatever the server does meanwhile. */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>
  readonly #timing: ReflectorTiming
  readonly #cache: WritableCache<T>
  readonly #backoff: Backoff
  readonly #malformed = new Map<string, MalformedObject>()
  readonly #synced = Promise.withResolvers<undefined>()
  #health: ReflectorHealth = { synced: false, watching: false, failures: 0, lists: 0, watches: 0, malformed: [] }
  // Where to go on watching; undefined: list first.
  #resourceVersion: string | undefined
  #isRunning = false
  #needsWholeList = false
  #expiriesInARow = 0

  constructor(options: ReflectorOptions<T>) {
    this.#options = options
    this.#timing = { ...defaultTiming, ...options.timing }
    this.#cache = new WritableCache(options.indexers)
    this.#backoff = new Backoff(this.#timing.backoff, options.random)
  }

  get cache(): ObjectCache<T> {
    return this.#cache
  }

  get resource(): Resource<T> {
    return this.#options.resource
  }

  health(): ReflectorHealth {
    const version = this.#resourceVersion === undefined ? {} : { resourceVersion: this.#resourceVersion }
    return { ...this.#health, ...version, malformed: [...this.#malformed.values()] }
  }

  /** Resolves once the cache has held the whole list; rejected with the signal's reason when it aborts. */
  async whenSynced(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const aborted = Promise.withResolvers<never>()
    const onAbort = (): void => aborted.reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([this.#synced.promise, aborted.promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Resolves when `signal` aborts, and for no other reason. May be called again afterwards. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#isRunning) throw new Error(`the reflector of ${this.#options.resource.plural} runs already`)
    this.#isRunning = true
    try {
      for (;;) {
        const failure = await this.#step(signal)
        if (failure !== undefined) await this.#wait(failure, signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#isRunning = false
      this.#health = { ...this.#health, watching: false }
    }
  }

  /** One list or one watch, to its end. */
  async #step(signal: AbortSignal): Promise<ApiError | undefined> {
    signal.throwIfAborted()
    if (this.#resourceVersion === undefined) return this.#list(signal)
    const failure = await this.#watch(this.#resourceVersion, signal)
    if (failure !== undefined && listAgain[failure.kind]) this.#resourceVersion = undefined
    return failure
  }

  async #list(signal: AbortSignal): Promise<ApiError | undefined> {
    const { client, resource } = this.#options
    this.#health = { ...this.#health, lists: this.#health.lists + 1 }
    // No resourceVersion: the newest state. '0' would be cheaper, but may be older than what is in the cache already.
    const listed = await client.list(
      resource,
      { ...this.#scope(), ...(this.#needsWholeList ? { pageSize: 0 } : {}) },
      signal,
    )
    if (!listed.ok) {
      // Objects changed faster than the pages were read: a list in one answer cannot expire (client-go's pager does the same).
      if (listed.error.kind === 'gone') this.#needsWholeList = true
      return listed.error
    }
    this.#needsWholeList = false
    this.#replaceAll(listed.value)
    this.#resourceVersion = listed.value.resourceVersion
    this.#aliveNow()
    if (!this.#health.synced) {
      this.#health = { ...this.#health, synced: true }
      this.#synced.resolve(undefined)
    }
    return undefined
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<ApiError | undefined> {
    const { client, resource, scheduler } = this.#options
    this.#health = { ...this.#health, watches: this.#health.watches + 1 }
    const query = this.#watchQuery(resourceVersion)
    const opened = await client.watch(resource, query, signal)
    if (!opened.ok) return opened.error
    this.#health = { ...this.#health, watching: true }
    const startedMs = scheduler.monotonicMs()
    let itemCount = 0
    try {
      for await (const item of opened.value) {
        if (item.type === 'failed') return item.error
        itemCount++
        this.#apply(item)
        this.#aliveNow()
        this.#backoff.reset()
        this.#expiriesInARow = 0
      }
    } finally {
      this.#health = { ...this.#health, watching: false }
      // A quiet one tells nothing, and yet the server had nothing to tell.
      if (scheduler.monotonicMs() - startedMs >= lastingMs) this.#noLongerFailing()
    }
    // A watch that ends at once, again and again, would otherwise be asked for in a tight loop.
    const lastedMs = scheduler.monotonicMs() - startedMs
    if (itemCount > 0 || lastedMs >= Math.min(lastingMs, query.timeoutSeconds * 500)) return undefined
    return { kind: 'server', request: `WATCH ${resource.plural}`, message: `the watch ended after ${lastedMs} ms` }
  }

  #watchQuery(resourceVersion: string): WatchQuery {
    const { watchSeconds, silenceMs } = this.#timing
    const timeoutSeconds = Math.ceil(watchSeconds * (1 + this.#options.random()))
    return { ...this.#scope(), resourceVersion, timeoutSeconds, silenceMs }
  }

  #scope(): Pick<ReflectorOptions<T>, 'namespace' | 'labelSelector' | 'fieldSelector'> {
    const { namespace, labelSelector, fieldSelector } = this.#options
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    }
  }

  async #wait(error: ApiError, signal: AbortSignal): Promise<void> {
    const { scheduler, resource, logger } = this.#options
    const { failures: before, failingSinceMs = scheduler.nowMs() } = this.#health
    const failures = before + 1
    this.#health = { ...this.#health, failures, failingSinceMs, lastError: { error, atMs: scheduler.nowMs() } }
    const asked = 'retryAfterMs' in error ? (error.retryAfterMs ?? 0) : 0
    // An expiry is ordinary: list again at once. Only when that does not help is it a failure like others.
    const isOrdinary = error.kind === 'gone' && this.#expiriesInARow++ === 0
    const delayMs = isOrdinary ? 0 : Math.max(this.#backoff.nextMs(), asked)
    logger.warn('kube.reflector.interrupted', {
      resource: resource.plural,
      error: formatApiError(error),
      delayMs,
      failures,
    })
    await sleep(scheduler, delayMs, signal)
  }

  #noLongerFailing(): void {
    const { failingSinceMs: _, ...health } = this.#health
    this.#health = health
  }

  #aliveNow(): void {
    this.#noLongerFailing()
    this.#health = { ...this.#health, lastEventMs: this.#options.scheduler.nowMs(), failures: 0 }
  }

  #apply(item: Exclude<WatchItem<T>, { type: 'failed' }>): void {
    switch (item.type) {
      case 'bookmark':
        this.#resourceVersion = item.resourceVersion
        return
      case 'malformed':
        this.#resourceVersion = item.object.resourceVersion ?? this.#resourceVersion
        if (item.change === 'deleted') this.#remove(item.object.key)
        else this.#keepMalformed(item.object)
        return
      case 'deleted':
        this.#resourceVersion = item.object.metadata.resourceVersion
        this.#remove(objectKey(item.object.metadata))
        return
      case 'added':
      case 'modified':
        this.#resourceVersion = item.object.metadata.resourceVersion
        this.#put(item.object)
    }
  }

  #replaceAll({ items, malformed }: ObjectList<T>): void {
    const present = new Set([...items.map(({ metadata }) => objectKey(metadata)), ...malformed.map(({ key }) => key)])
    const known = [...this.#cache.snapshot().objects.keys(), ...this.#malformed.keys()]
    for (const key of known) if (!present.has(key)) this.#remove(key)
    for (const object of items) this.#put(object)
    for (const object of malformed) this.#keepMalformed(object)
  }

  #put(object: T): void {
    const key = objectKey(object.metadata)
    this.#malformed.delete(key)
    const previous = this.#cache.get(key)
    if (previous === undefined) {
      this.#cache.set(key, object)
      this.#call('added', (handlers) => handlers.added?.(object))
    } else if (previous.metadata.uid !== object.metadata.uid) {
      // Deleted and made again while nobody watched: two different objects.
      this.#remove(key)
      this.#put(object)
    } else if (previous.metadata.resourceVersion !== object.metadata.resourceVersion) {
      this.#cache.set(key, object)
      this.#call('updated', (handlers) => handlers.updated?.(object, previous))
    }
  }

  #remove(key: string): void {
    this.#malformed.delete(key)
    const previous = this.#cache.delete(key)
    if (previous !== undefined) this.#call('deleted', (handlers) => handlers.deleted?.(previous))
  }

  // Not taken for deleted: what belongs to an object that cannot be read just now must not be cleaned away.
  #keepMalformed(object: MalformedObject): void {
    const { logger, resource } = this.#options
    const { key, errors } = object
    // A list tells it again, and so does every change that leaves it as wrong as it was.
    if (!isDeepStrictEqual(this.#malformed.get(key)?.errors, errors))
      logger.warn('kube.object.malformed', { resource: resource.plural, key, errors })
    this.#malformed.set(key, object)
  }

  #call(change: string, call: (handlers: ObjectHandlers<T>) => void): void {
    const { handlers = {}, logger, resource } = this.#options
    try {
      call(handlers)
    } catch (error) {
      // A handler's bug must not end the watch for everybody else.
      logger.error('kube.handler.crashed', { resource: resource.plural, change, error })
    }
  }
}
