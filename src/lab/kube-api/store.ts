import type { KubeObject } from './objects.ts'

/** One object's place: `storage` names a kind's collection whatever API version shows it. Cluster-scoped: namespace ''. */
export interface ObjectKey {
  readonly storage: string
  readonly namespace: string
  readonly name: string
}

/** One change: `previous` is absent when the object appeared, `object` carries the version of the change. */
export interface StoreEvent {
  readonly version: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly key: ObjectKey
  readonly object: KubeObject
  readonly previous?: KubeObject
}

export type Compacted = 'compacted'
type Collection = Map<string, KubeObject>

/** Objects under one global version counter, with the last changes kept, as etcd keeps revisions. */
export class Store {
  readonly #historyLength: number
  readonly #collections = new Map<string, Collection>()
  readonly #listeners = new Set<(event: StoreEvent) => void>()
  #history: StoreEvent[] = []
  #version = 1
  #compactedVersion = 0

  constructor(options: { readonly historyLength: number }) {
    this.#historyLength = options.historyLength
  }

  /** The version of the newest change. */
  get version(): number {
    return this.#version
  }

  /** Changes after this version are still known; a watch from before it must list again. */
  get compactedVersion(): number {
    return this.#compactedVersion
  }

  get(key: ObjectKey): KubeObject | undefined {
    return this.#collections.get(key.storage)?.get(pathOf(key))
  }

  /** In the order of etcd's keys: by namespace, then name. Namespace '' means all. */
  list(storage: string, namespace = ''): readonly KubeObject[] {
    return sorted(this.#collections.get(storage) ?? new Map<string, KubeObject>(), namespace)
  }

  /** What `list` answered at that version: the present with the later changes taken back. */
  listAt(storage: string, namespace: string, version: number): readonly KubeObject[] | Compacted {
    if (version < this.#compactedVersion) return 'compacted'
    const past = new Map(this.#collections.get(storage))
    for (const event of this.#history.toReversed()) {
      if (event.version <= version) break
      if (event.key.storage !== storage) continue
      if (event.previous === undefined) past.delete(pathOf(event.key))
      else past.set(pathOf(event.key), event.previous)
    }
    return sorted(past, namespace)
  }

  changesAfter(storage: string, version: number): readonly StoreEvent[] | Compacted {
    if (version < this.#compactedVersion) return 'compacted'
    return this.#history.filter((event) => event.version > version && event.key.storage === storage)
  }

  /** Stores the object under a new version, which it carries from then on. */
  put(key: ObjectKey, object: KubeObject): KubeObject {
    const collection = this.#collection(key.storage)
    const previous = collection.get(pathOf(key))
    const stored = this.#versioned(object)
    collection.set(pathOf(key), stored)
    const change = { version: this.#version, key, object: stored }
    this.#publish(previous === undefined ? { ...change, type: 'ADDED' } : { ...change, type: 'MODIFIED', previous })
    return stored
  }

  /** Removes it; the event carries the last state, or the one given, with the version of the deletion. */
  remove(key: ObjectKey, lastState?: KubeObject): KubeObject | undefined {
    const collection = this.#collection(key.storage)
    const previous = collection.get(pathOf(key))
    if (previous === undefined) return undefined
    collection.delete(pathOf(key))
    const object = this.#versioned(lastState ?? previous)
    this.#publish({ version: this.#version, type: 'DELETED', key, object, previous })
    return object
  }

  /** Forgets the changes up to a version, by default all: watches from before it are answered 410. */
  compact(version: number = this.#version): void {
    this.#compactedVersion = Math.max(this.#compactedVersion, Math.min(version, this.#version))
    this.#history = this.#history.filter((event) => event.version > this.#compactedVersion)
  }

  subscribe(listener: (event: StoreEvent) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  #collection(storage: string): Collection {
    const existing = this.#collections.get(storage)
    if (existing !== undefined) return existing
    const created: Collection = new Map()
    this.#collections.set(storage, created)
    return created
  }

  #versioned(object: KubeObject): KubeObject {
    this.#version += 1
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } }
  }

  #publish(event: StoreEvent): void {
    this.#history.push(event)
    // A quarter at a time, so that a full history does not shift its array at every change.
    if (this.#history.length > this.#historyLength * 1.25) {
      const dropped = this.#history.splice(0, this.#history.length - this.#historyLength)
      this.#compactedVersion = dropped.at(-1)?.version ?? this.#compactedVersion
    }
    for (const listener of [...this.#listeners]) listener(event)
  }
}

function pathOf({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`
}

function sorted(collection: Collection, namespace: string): readonly KubeObject[] {
  const prefix = `${namespace}/`
  return [...collection]
    .filter(([path]) => namespace === '' || path.startsWith(prefix))
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([, object]) => object)
}
