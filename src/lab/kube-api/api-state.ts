import type { Clock } from '../../base/clock.ts'
import type { Ipv4Cidr } from '../../base/cidr.ts'
import { crdStorage, storageVersion } from './custom-resources.ts'
import type { FieldValidation } from './decoding.ts'
import { eventFromStored, eventToStored } from './event-versions.ts'
import type { KubeObject } from './objects.ts'
import type { ResourceRegistry } from './registry.ts'
import { apiVersionOf, type Resource } from './resources.ts'
import type { Subject } from './status-error.ts'
import type { ObjectKey, Store } from './store.ts'

/** What every operation of the API works on. */
export interface ApiState {
  readonly store: Store
  readonly registry: ResourceRegistry
  readonly clock: Clock
  readonly serviceCidr: Ipv4Cidr
  /** How a watch from a forgotten version fails: clients have to understand both. */
  readonly goneAs: 'event' | 'status'
}

/** What a request is about; `namespace` '' for cluster-scoped kinds or all namespaces, `name` '' for a collection. */
export interface Target {
  readonly resource: Resource
  readonly namespace: string
  readonly name: string
  readonly subresource: string
}

export interface WriteOptions {
  readonly dryRun: boolean
  readonly fieldValidation: FieldValidation
}

export interface Written {
  readonly object: KubeObject
  readonly warnings: readonly string[]
}

export function keyOf({ resource, namespace, name }: Omit<Target, 'subresource'>): ObjectKey {
  return { storage: resource.storage, namespace, name }
}

export function subjectOf({ resource, name }: Pick<Target, 'resource' | 'name'>): Subject {
  const { group, plural, kind } = resource
  return { group, resource: plural, kind, ...(name === '' ? {} : { name }) }
}

/** One form for all versions of a kind: events as core/v1, custom objects in their CRD's storage version. */
export function toStored(object: KubeObject, resource: Resource, state: ApiState): KubeObject {
  if (resource.storage === 'events') return eventToStored(object)
  if (resource.model.type === 'core') return object
  const crd = state.store.get({ storage: crdStorage, namespace: '', name: resource.model.crdName })
  const version = crd === undefined ? resource.version : storageVersion(crd)
  return { ...object, apiVersion: `${resource.group}/${version}` }
}

/** A stored object as this version of the API shows it. */
export function present(object: KubeObject, resource: Resource): KubeObject {
  if (resource.storage === 'events') return eventFromStored(object, apiVersionOf(resource))
  const apiVersion = apiVersionOf(resource)
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion }
}
