import { apiVersionOf, type KubeObject, type OwnerReference, type Resource } from './object.ts'

/** Names an object in another one, such as an Event (core/v1 ObjectReference). A type: only types fit JsonObject. */
export type ObjectReference = {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace?: string
  readonly name: string
  readonly uid?: string
}

export function referenceTo<T extends KubeObject>(resource: Resource<T>, { metadata }: T): ObjectReference {
  const { name, namespace, uid } = metadata
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    ...(namespace === undefined ? {} : { namespace }),
    name,
    uid,
  }
}

/** For `metadata.ownerReferences` of what shall go when `owner` goes. */
export function ownedBy<T extends KubeObject>(resource: Resource<T>, owner: T): OwnerReference {
  const { apiVersion, kind, name } = referenceTo(resource, owner)
  return { apiVersion, kind, name, uid: owner.metadata.uid }
}
