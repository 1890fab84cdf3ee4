import type { ApiState, Target } from './api-state.ts'
import { DeferredQueue } from './deferred-queue.ts'
import { deleteObject, type DeleteOptions, foregroundFinalizer, isReadyToGo, orphanFinalizer } from './deletes.ts'
import { type KubeObject, type OwnerReference, withMeta } from './objects.ts'
import type { ObjectKey, StoreEvent } from './store.ts'

export const background: DeleteOptions = {
  dryRun: false,
  propagation: 'Background',
  gracePeriodSeconds: undefined,
  uid: '',
  resourceVersion: '',
}

type OwnerState = 'solid' | 'absent' | 'waiting'

/** Deletes what has lost its owners, as kube-controller-manager's collector does (concepts, "Garbage collection"). */
export class GarbageCollector {
  readonly #state: ApiState
  readonly #dependents = new Map<string, Map<string, ObjectKey>>()
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

  #observe(event: StoreEvent): void {
    const { key, object, previous, type } = event
    for (const owner of previous?.metadata.ownerReferences ?? []) {
      this.#dependents.get(owner.uid)?.delete(pathOf(key))
      // Its last dependent may be what an owner deleted in the foreground is waiting for.
      const ownerKey = this.#ownerKey(object, owner)
      if (ownerKey !== undefined) this.#enqueue(ownerKey)
    }
    if (type === 'DELETED') {
      for (const dependent of this.#dependentsOf(object)) this.#enqueue(dependent)
      return
    }
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const siblings = this.#dependents.get(uid) ?? new Map<string, ObjectKey>()
      this.#dependents.set(uid, siblings.set(pathOf(key), key))
    }
    this.#enqueue(key)
  }

  #enqueue(key: ObjectKey): void {
    const object = this.#state.store.get(key)
    const concerns =
      object !== undefined && (object.metadata.ownerReferences !== undefined || policyOf(object) !== undefined)
    if (concerns) this.#queue.add(pathOf(key), key)
  }

  #review(key: ObjectKey): void {
    const object = this.#state.store.get(key)
    if (object === undefined) return
    if (policyOf(object) !== undefined) this.#releaseOwner(key, object)
    else if (object.metadata.deletionTimestamp === undefined) this.#judgeDependent(key, object)
  }

  #judgeDependent(key: ObjectKey, object: KubeObject): void {
    const references = object.metadata.ownerReferences ?? []
    const solid = references.filter((reference) => this.#ownerState(object, reference) === 'solid')
    if (references.length === 0 || solid.length === references.length) return
    if (solid.length > 0) this.#save(key, withMeta(object, { ownerReferences: solid }))
    else this.#delete(key)
  }

  /** An owner with a deletion policy: first its dependents are deleted or let go, then it may go itself. */
  #releaseOwner(key: ObjectKey, owner: KubeObject): void {
    const policy = policyOf(owner)
    const blocking = this.#dependentsOf(owner).filter((dependent) => {
      const object = this.#state.store.get(dependent)
      if (object === undefined) return false
      if (policy === orphanFinalizer) this.#orphan(dependent, object, owner)
      else this.#enqueue(dependent)
      const reference = object.metadata.ownerReferences?.find(({ uid }) => uid === owner.metadata.uid)
      return policy === foregroundFinalizer && reference?.blockOwnerDeletion === true
    })
    if (blocking.length > 0) return
    const finalizers = (owner.metadata.finalizers ?? []).filter((finalizer) => finalizer !== policy)
    this.#save(key, withMeta(owner, { finalizers: finalizers.length === 0 ? undefined : finalizers }))
  }

  #orphan(key: ObjectKey, object: KubeObject, owner: KubeObject): void {
    const kept = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid)
    this.#save(key, withMeta(object, { ownerReferences: kept.length === 0 ? undefined : kept }))
  }

  #ownerState(object: KubeObject, reference: OwnerReference): OwnerState {
    const key = this.#ownerKey(object, reference)
    // A kind that is not served may be served again; and no cluster-scoped object can have an owner in a namespace.
    if (key === undefined) return 'solid'
    const owner = this.#state.store.get(key)
    if (owner?.metadata.uid !== reference.uid) return 'absent'
    const isWaiting = policyOf(owner) === foregroundFinalizer && reference.blockOwnerDeletion === true
    return isWaiting ? 'waiting' : 'solid'
  }

  #ownerKey({ metadata }: KubeObject, { apiVersion, kind, name }: OwnerReference): ObjectKey | undefined {
    const resource = this.#state.registry.findKind(apiVersion, kind)
    if (resource === undefined || (resource.namespaced && metadata.namespace === undefined)) return undefined
    return { storage: resource.storage, namespace: resource.namespaced ? (metadata.namespace ?? '') : '', name }
  }

  #dependentsOf({ metadata }: KubeObject): readonly ObjectKey[] {
    return [...(this.#dependents.get(metadata.uid ?? '')?.values() ?? [])]
  }

  #delete(key: ObjectKey): void {
    const target = targetOf(this.#state, key)
    if (target !== undefined) deleteObject(this.#state, target, background)
  }

  #save(key: ObjectKey, object: KubeObject): void {
    saveOrRemove(this.#state, key, object)
  }
}

/** Removing a finalizer may be what a deletion was waiting for. */
export function saveOrRemove(state: ApiState, key: ObjectKey, object: KubeObject): void {
  if (isReadyToGo(object, key.storage)) state.store.remove(key, object)
  else state.store.put(key, object)
}

export function targetOf(state: ApiState, { storage, namespace, name }: ObjectKey): Target | undefined {
  const resource = state.registry.all().find((candidate) => candidate.storage === storage)
  return resource === undefined ? undefined : { resource, namespace, name, subresource: '' }
}

function policyOf({ metadata }: KubeObject): string | undefined {
  if (metadata.deletionTimestamp === undefined) return undefined
  return metadata.finalizers?.find((finalizer) => finalizer === foregroundFinalizer || finalizer === orphanFinalizer)
}

function pathOf({ storage, namespace, name }: ObjectKey): string {
  return `${storage}/${namespace}/${name}`
}
