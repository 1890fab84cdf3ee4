import type { KubeObject } from './object.ts'

/** The objects of a resource at one moment, by `objectKey`; never changes. */
export interface Snapshot<T extends KubeObject> {
  readonly objects: ReadonlyMap<string, T>
}

/** The values an object is found by in an index, such as the name of a pod's node. */
export type Indexer<T extends KubeObject> = (object: T) => readonly string[]

/** What readers see of the cache that a reflector fills. */
export interface ObjectCache<T extends KubeObject> {
  get(key: string): T | undefined
  /** Every object whose indexer gave `value`, in no order. Throws for an index that was not declared. */
  byIndex(index: string, value: string): readonly T[]
  /** Shared by everybody who asks between two changes. */
  snapshot(): Snapshot<T>
  /**
   * Calls back after changes, once for all that happened until then; not during the change that caused it.
   * The returned function ends it.
   */
  onChange(callback: () => void): () => void
}

export interface CacheChange<T extends KubeObject> {
  readonly object: T
  /** Absent: it is new. */
  readonly previous: T | undefined
}

/** An ObjectCache and the writing side of it, for its one reflector. */
export class WritableCache<T extends KubeObject> implements ObjectCache<T> {
  readonly #indexers: Readonly<Record<string, Indexer<T>>>
  readonly #indices = new Map<string, Map<string, Map<string, T>>>()
  readonly #callbacks = new Set<() => void>()
  #objects = new Map<string, T>()
  #isShared = false
  #isNotifying = false

  constructor(indexers: Readonly<Record<string, Indexer<T>>> = {}) {
    this.#indexers = indexers
    for (const name of Object.keys(indexers)) this.#indices.set(name, new Map())
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)
  }

  byIndex(index: string, value: string): readonly T[] {
    const values = this.#indices.get(index)
    if (values === undefined) throw new Error(`no index ${JSON.stringify(index)} in this cache`)
    return [...(values.get(value)?.values() ?? [])]
  }

  snapshot(): Snapshot<T> {
    this.#isShared = true
    return { objects: this.#objects }
  }

  onChange(callback: () => void): () => void {
    this.#callbacks.add(callback)
    return () => this.#callbacks.delete(callback)
  }

  /** Returns the object that was there before. */
  set(key: string, object: T): T | undefined {
    const previous = this.#objects.get(key)
    this.#own().set(key, object)
    if (previous !== undefined) this.#unindex(key, previous)
    this.#index(key, object)
    this.#notify()
    return previous
  }

  delete(key: string): T | undefined {
    const previous = this.#objects.get(key)
    if (previous === undefined) return undefined
    this.#own().delete(key)
    this.#unindex(key, previous)
    this.#notify()
    return previous
  }

  // Copied at the first change after a snapshot was given out: many changes between two snapshots cost one copy.
  #own(): Map<string, T> {
    if (this.#isShared) this.#objects = new Map(this.#objects)
    this.#isShared = false
    return this.#objects
  }

  #index(key: string, object: T): void {
    for (const [name, indexer] of Object.entries(this.#indexers)) {
      const values = this.#indices.get(name)
      for (const value of indexer(object)) {
        const found = values?.get(value)
        if (found === undefined) values?.set(value, new Map([[key, object]]))
        else found.set(key, object)
      }
    }
  }

  #unindex(key: string, object: T): void {
    for (const [name, indexer] of Object.entries(this.#indexers)) {
      const values = this.#indices.get(name)
      for (const value of indexer(object)) {
        const found = values?.get(value)
        found?.delete(key)
        if (found?.size === 0) values?.delete(value)
      }
    }
  }

  // A turn of the event loop later, so that all events of one chunk of a watch, or of one list, are one notification.
  #notify(): void {
    if (this.#isNotifying || this.#callbacks.size === 0) return
    this.#isNotifying = true
    setImmediate(() => {
      this.#isNotifying = false
      for (const callback of this.#callbacks) callback()
    })
  }
}
