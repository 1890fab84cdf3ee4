import { randomUUID } from 'node:crypto'
import { applyCoreDefaults, initialStatus } from './core-defaults.ts'
import {
  type ApiState,
  keyOf,
  present,
  subjectOf,
  type Target,
  toStored,
  type WriteOptions,
  type Written,
} from './api-state.ts'
import { coreCauses } from './core-rules.ts'
import { crdStorage, crdWarnings, establishCrd } from './custom-resources.ts'
import { decode } from './decoding.ts'
import { isReadyToGo } from './deletes.ts'
import { finalizerCauses, generateName, keepServerFields, metadataCauses } from './metadata-rules.ts'
import {
  type JsonValue,
  type KubeObject,
  objectAt,
  same,
  textAt,
  timestamp,
  withKey,
  withMeta,
  without,
} from './objects.ts'
import type { Resource } from './resources.ts'
import { injectSidecar } from './sidecar-injection.ts'
import { allocateService } from './service-addresses.ts'
import {
  alreadyExists,
  badRequest,
  type Cause,
  conflict,
  forbidden,
  invalid,
  notFound,
  StatusError,
} from './status-error.ts'
import { schemaCauses } from './validation.ts'

export function createObject(state: ApiState, target: Target, body: JsonValue, options: WriteOptions): Written {
  const { resource } = target
  const decoded = decode(body, resource, options.fieldValidation)
  const named = nameObject(state, target, decoded.object)
  const at = { ...target, name: named.metadata.name }
  checkPlace(named, at)
  if ((named.metadata.resourceVersion ?? '') !== '') {
    throw new StatusError(500, 'InternalError', 'resourceVersion should not be set on objects to be created')
  }
  checkNamespace(state, at)
  const admitted = resource.storage === 'pods' ? injectSidecar(named, subjectOf(at)) : named
  const initial = initialObject(state, at, toStored(admitted, resource, state))
  const completed = complete(state, initial, resource)
  check(completed, resource, subjectOf(at), undefined)
  if (state.store.get(keyOf(at)) !== undefined) throw alreadyExists(subjectOf(at))
  const object = options.dryRun ? completed : state.store.put(keyOf(at), completed)
  return { object: present(object, resource), warnings: [...decoded.warnings, ...warningsOf(object, resource)] }
}

/** PUT and PATCH: `change` gives the new body from the object as this version of the API shows it. */
export function updateObject(
  state: ApiState,
  target: Target,
  change: (current: KubeObject) => JsonValue,
  options: WriteOptions & { readonly isPatch: boolean },
): Written {
  const { resource } = target
  const stored = state.store.get(keyOf(target))
  if (stored === undefined) throw notFound(subjectOf(target))
  const decoded = decode(change(present(stored, resource)), resource, options.fieldValidation)
  checkPlace(decoded.object, target)
  checkVersion(decoded.object, stored, target, options.isPatch)
  const asked = keepServerFields(toStored(decoded.object, resource, state), stored)
  const scoped = limitToSubresource(asked, stored, target)
  const completed = withGeneration(complete(state, scoped, resource), stored, resource)
  check(completed, resource, subjectOf(target), stored)
  const warnings = [...decoded.warnings, ...warningsOf(completed, resource)]
  // Writing what is there already is no change: no new version, no event (etcd3's GuaranteedUpdate).
  if (same(completed, stored)) return { object: present(stored, resource), warnings }
  if (options.dryRun) return { object: present(completed, resource), warnings }
  if (isReadyToGo(completed, resource.storage)) {
    const removed = state.store.remove(keyOf(target), completed)
    return { object: present(removed ?? completed, resource), warnings }
  }
  return { object: present(state.store.put(keyOf(target), completed), resource), warnings }
}

/** POST pods/NAME/binding: the scheduler's decision. */
export function bindPod(state: ApiState, target: Target, body: JsonValue, options: WriteOptions): void {
  const stored = state.store.get(keyOf(target))
  const subject = subjectOf(target)
  if (stored === undefined) throw notFound(subject)
  const nodeName = textAt(body, 'target', 'name')
  if (nodeName === '') {
    throw invalid(subject, [{ reason: 'FieldValueRequired', field: 'target.name', message: 'Required value' }])
  }
  const bound = textAt(stored, 'spec', 'nodeName')
  if (bound !== '') throw conflict(subject, `pod ${target.name} is already assigned to node ${JSON.stringify(bound)}`)
  if (stored.metadata.deletionTimestamp !== undefined) {
    throw conflict(subject, `pod ${target.name} is being deleted, cannot be assigned to a host`)
  }
  const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: timestamp(state.clock.nowMs()) }
  const status = objectAt(stored, 'status')
  const spec = { ...objectAt(stored, 'spec'), nodeName }
  if (!options.dryRun)
    state.store.put(keyOf(target), { ...stored, spec, status: { ...status, conditions: [scheduled] } })
}

function nameObject(state: ApiState, target: Target, object: KubeObject): KubeObject {
  const { name, generateName: prefix = '' } = object.metadata
  if (name !== '' || prefix === '') return withMeta(object, { name: name === '' ? target.name : name })
  let generated = generateName(prefix)
  while (state.store.get(keyOf({ ...target, name: generated })) !== undefined) generated = generateName(prefix)
  return withMeta(object, { name: generated })
}

function checkPlace(object: KubeObject, { namespace, name }: Target): void {
  const given = object.metadata
  if (given.name !== name && given.name !== '') {
    throw badRequest(`the name of the object (${given.name}) does not match the name on the URL (${name})`)
  }
  if ((given.namespace ?? '') !== '' && given.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
}

function checkNamespace(state: ApiState, target: Target): void {
  if (!target.resource.namespaced) return
  const namespace = state.store.get({ storage: 'namespaces', namespace: '', name: target.namespace })
  if (namespace === undefined) {
    throw notFound({ group: '', resource: 'namespaces', kind: 'Namespace', name: target.namespace })
  }
  if (namespace.metadata.deletionTimestamp === undefined) return
  const why = `unable to create new content in namespace ${target.namespace} because it is being terminated`
  throw forbidden(subjectOf(target), why)
}

function initialObject(state: ApiState, { resource, namespace }: Target, object: KubeObject): KubeObject {
  const countsFrom = resource.model.type === 'custom' || resource.model.countsGenerations ? 1 : undefined
  const identified = withMeta(object, {
    namespace: resource.namespaced ? namespace : undefined,
    uid: randomUUID(),
    creationTimestamp: timestamp(state.clock.nowMs()),
    generation: countsFrom,
    resourceVersion: undefined,
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
  })
  if (!resource.hasStatus) return identified
  return withKey(identified, 'status', initialStatus(object, resource.storage))
}

/** What the server fills in itself: defaults, service addresses, a CRD's acceptance. */
function complete(state: ApiState, object: KubeObject, resource: Resource): KubeObject {
  if (resource.model.type === 'custom') return object
  const defaulted = applyCoreDefaults(object, resource.storage)
  if (resource.storage === crdStorage) return establishCrd(defaulted, timestamp(state.clock.nowMs()))
  if (resource.storage !== 'services') return defaulted
  return allocateService(defaulted, state.store.list('services'), state.serviceCidr)
}

function check(
  object: KubeObject,
  resource: Resource,
  subject: ReturnType<typeof subjectOf>,
  stored?: KubeObject,
): void {
  const { model } = resource
  const causes: readonly Cause[] = [
    ...metadataCauses(object, resource),
    ...(stored === undefined ? [] : finalizerCauses(object, stored)),
    ...(model.type === 'custom'
      ? schemaCauses(object, model.schema, model.validate)
      : coreCauses(object, resource.storage, stored)),
  ]
  if (causes.length > 0) throw invalid(subject, causes)
}

function checkVersion(given: KubeObject, stored: KubeObject, target: Target, isPatch: boolean): void {
  const { uid = '', resourceVersion = '' } = given.metadata
  const subject = subjectOf(target)
  if (uid !== '' && uid !== stored.metadata.uid) {
    throw conflict(
      subject,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${stored.metadata.uid ?? ''}`,
    )
  }
  const { model } = target.resource
  const mustBeGiven = !isPatch && !(model.type === 'core' && model.updatesUnconditionally)
  if (resourceVersion === '' && mustBeGiven) {
    const message = 'Invalid value: 0x0: must be specified for an update'
    throw invalid(subject, [{ reason: 'FieldValueInvalid', field: 'metadata.resourceVersion', message }])
  }
  if (resourceVersion !== '' && resourceVersion !== stored.metadata.resourceVersion) throw conflict(subject)
}

/** A write to the object leaves its status alone, and a write to its status everything else. */
function limitToSubresource(asked: KubeObject, stored: KubeObject, { resource, subresource }: Target): KubeObject {
  if (!resource.hasStatus) return asked
  if (subresource !== 'status') return withKey(asked, 'status', stored['status'])
  // Built-in kinds take labels and annotations along with a status, custom ones do not.
  const metadata = resource.model.type === 'custom' ? stored.metadata : asked.metadata
  return withKey({ ...stored, metadata }, 'status', asked['status'])
}

function withGeneration(object: KubeObject, stored: KubeObject, resource: Resource): KubeObject {
  const { generation } = stored.metadata
  if (generation === undefined) return object
  const counted = (value: KubeObject): JsonValue =>
    without(value, 'metadata', ...(resource.hasStatus ? ['status'] : []))
  return same(counted(object), counted(stored)) ? object : withMeta(object, { generation: generation + 1 })
}

function warningsOf(object: KubeObject, resource: Resource): readonly string[] {
  return resource.storage === crdStorage ? crdWarnings(object) : []
}
