import { type ApiState, keyOf, present, subjectOf, type Target } from './api-state.ts'
import { crdCleanupFinalizer, crdStorage } from './custom-resources.ts'
import {
  type JsonObject,
  type JsonValue,
  type KubeObject,
  listAt,
  numberAt,
  objectAt,
  textAt,
  timestamp,
  withMeta,
} from './objects.ts'
import { badRequest, conflict, deletedStatus, notFound } from './status-error.ts'

/** meta/v1 DeleteOptions, from the body and the query. */
export interface DeleteOptions {
  readonly dryRun: boolean
  readonly propagation: 'Background' | 'Foreground' | 'Orphan'
  readonly gracePeriodSeconds: number | undefined
  readonly uid: string
  readonly resourceVersion: string
}

export const foregroundFinalizer = 'foregroundDeletion'
export const orphanFinalizer = 'orphan'

export function parseDeleteOptions(body: JsonValue | undefined, query: URLSearchParams): DeleteOptions {
  const policy = textAt(body, 'propagationPolicy') || query.get('propagationPolicy') || 'Background'
  if (policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') {
    throw badRequest(
      `propagationPolicy: Unsupported value: "${policy}": supported values: "Background", "Foreground", "Orphan"`,
    )
  }
  const isOrphaning = textAt(body, 'orphanDependents') === 'true' || query.get('orphanDependents') === 'true'
  const seconds = textAt(body, 'gracePeriodSeconds') || query.get('gracePeriodSeconds')
  return {
    dryRun: listAt(body, 'dryRun').includes('All') || query.getAll('dryRun').includes('All'),
    propagation: isOrphaning ? 'Orphan' : policy,
    gracePeriodSeconds: seconds === null || seconds === '' ? undefined : Number(seconds),
    uid: textAt(body, 'preconditions', 'uid'),
    resourceVersion: textAt(body, 'preconditions', 'resourceVersion'),
  }
}

/** Removes the object, or marks it for whoever holds a finalizer or runs the pod. Answers the response's body. */
export function deleteObject(state: ApiState, target: Target, options: DeleteOptions): JsonObject {
  const stored = state.store.get(keyOf(target))
  if (stored === undefined) throw notFound(subjectOf(target))
  checkPreconditions(stored, target, options)
  const { resource } = target
  const marked = mark(state, stored, resource.storage, options)
  if (isReadyToGo(marked, resource.storage)) {
    if (!options.dryRun) state.store.remove(keyOf(target), marked)
    return deletedStatus(subjectOf(target), stored.metadata.uid ?? '')
  }
  if (options.dryRun || marked === stored) return present(marked, resource)
  return present(state.store.put(keyOf(target), marked), resource)
}

/** Nothing keeps a marked object any longer: no finalizer, and no kubelet that still has to stop it. */
export function isReadyToGo(object: KubeObject, storage: string): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata
  const isEmptied = storage !== 'namespaces' || listAt(object, 'spec', 'finalizers').length === 0
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && finalizers.length === 0 && isEmptied
}

function checkPreconditions(stored: KubeObject, target: Target, options: DeleteOptions): void {
  const { uid = '', resourceVersion = '' } = stored.metadata
  if (options.uid !== '' && options.uid !== uid) {
    throw conflict(
      subjectOf(target),
      `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${uid}`,
    )
  }
  if (options.resourceVersion !== '' && options.resourceVersion !== resourceVersion) {
    const why = `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`
    throw conflict(subjectOf(target), why)
  }
}

function mark(state: ApiState, stored: KubeObject, storage: string, options: DeleteOptions): KubeObject {
  const { metadata } = stored
  const graceSeconds = gracePeriod(stored, storage, options.gracePeriodSeconds)
  const isMarked = metadata.deletionTimestamp !== undefined
  // A second request may shorten the time to stop, never prolong it.
  const isShortened = graceSeconds !== undefined && graceSeconds < (metadata.deletionGracePeriodSeconds ?? 0)
  if (isMarked) return isShortened ? withMeta(stored, { deletionGracePeriodSeconds: graceSeconds }) : stored
  const deadline = timestamp(state.clock.nowMs() + (graceSeconds ?? 0) * 1000)
  const finalizers = finalizersFor(stored, storage, options)
  const marked = withMeta(stored, {
    deletionTimestamp: deadline,
    deletionGracePeriodSeconds: graceSeconds ?? 0,
    generation: metadata.generation === undefined ? undefined : metadata.generation + 1,
    finalizers: finalizers.length === 0 ? undefined : finalizers,
  })
  if (storage !== 'namespaces') return marked
  return { ...marked, status: { ...objectAt(stored, 'status'), phase: 'Terminating' } }
}

/** Only pods have one, and only once they may be running somewhere (pkg/registry/core/pod, CheckGracefulDelete). */
function gracePeriod(stored: KubeObject, storage: string, asked: number | undefined): number | undefined {
  if (storage !== 'pods') return undefined
  const isEnded = ['Succeeded', 'Failed'].includes(textAt(stored, 'status', 'phase'))
  if (isEnded || textAt(stored, 'spec', 'nodeName') === '') return 0
  return asked ?? numberAt(stored, 'spec', 'terminationGracePeriodSeconds') ?? 30
}

function finalizersFor(stored: KubeObject, storage: string, { propagation }: DeleteOptions): readonly string[] {
  const policies = [foregroundFinalizer, orphanFinalizer]
  const kept = (stored.metadata.finalizers ?? []).filter((finalizer) => !policies.includes(finalizer))
  const cleanup = storage === crdStorage && !kept.includes(crdCleanupFinalizer) ? [crdCleanupFinalizer] : []
  const policy = { Background: [], Foreground: [foregroundFinalizer], Orphan: [orphanFinalizer] }[propagation]
  return [...kept, ...cleanup, ...policy]
}
