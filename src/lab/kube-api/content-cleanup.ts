import type { ApiState } from './api-state.ts'
import { crdCleanupFinalizer, crdStorage } from './custom-resources.ts'
import { DeferredQueue } from './deferred-queue.ts'
import { deleteObject } from './deletes.ts'
import { background, saveOrRemove, targetOf } from './garbage-collector.ts'
import { type KubeObject, objectAt, without, withMeta } from './objects.ts'
import type { ObjectKey, StoreEvent } from './store.ts'

/** Empties namespaces and custom resource definitions that are being deleted, then lets them go. */
export class ContentCleanup {
  readonly #state: ApiState
  readonly #queue = new DeferredQueue<ObjectKey>((key) => this.#review(key))
  readonly #subscription: Disposable

  constructor(state: ApiState) {
    this.#state = state
    this.#subscription = state.store.subscribe((event) => this.#observe(event))
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]()
    this.#queue[Symbol.dispose]()
  }

  #observe({ type, key, object }: StoreEvent): void {
    if (type !== 'DELETED') {
      if (isContainer(key)) this.#enqueue(key)
      return
    }
    const { namespace } = object.metadata
    if (namespace !== undefined) this.#enqueue({ storage: 'namespaces', namespace: '', name: namespace })
    this.#enqueue({ storage: crdStorage, namespace: '', name: key.storage })
  }

  #enqueue(key: ObjectKey): void {
    const container = this.#state.store.get(key)
    if (container?.metadata.deletionTimestamp !== undefined) this.#queue.add(`${key.storage}/${key.name}`, key)
  }

  #review(key: ObjectKey): void {
    const container = this.#state.store.get(key)
    if (container?.metadata.deletionTimestamp === undefined) return
    const content = this.#contentOf(key)
    for (const item of content) {
      const target = targetOf(this.#state, item)
      const isMarked = this.#state.store.get(item)?.metadata.deletionTimestamp !== undefined
      if (target !== undefined && !isMarked) deleteObject(this.#state, target, background)
    }
    if (this.#contentOf(key).length > 0) return
    const emptied = released(container, key)
    if (emptied !== container) saveOrRemove(this.#state, key, emptied)
  }

  #contentOf({ storage, name }: ObjectKey): readonly ObjectKey[] {
    const namespace = storage === 'namespaces' ? name : ''
    const storages =
      storage === 'namespaces'
        ? new Set(this.#state.registry.all().flatMap((resource) => (resource.namespaced ? [resource.storage] : [])))
        : [name]
    return [...storages].flatMap((of) =>
      this.#state.store.list(of, namespace).map(({ metadata }) => {
        return { storage: of, namespace: metadata.namespace ?? '', name: metadata.name }
      }),
    )
  }
}

function isContainer({ storage }: ObjectKey): boolean {
  return storage === 'namespaces' || storage === crdStorage
}

function released(container: KubeObject, { storage }: ObjectKey): KubeObject {
  if (storage === 'namespaces') {
    const spec = objectAt(container, 'spec')
    return Object.hasOwn(spec, 'finalizers') ? { ...container, spec: without(spec, 'finalizers') } : container
  }
  const { finalizers = [] } = container.metadata
  if (!finalizers.includes(crdCleanupFinalizer)) return container
  const kept = finalizers.filter((finalizer) => finalizer !== crdCleanupFinalizer)
  return withMeta(container, { finalizers: kept.length === 0 ? undefined : kept })
}
