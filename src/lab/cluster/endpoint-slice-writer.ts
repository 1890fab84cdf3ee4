import type { Logger } from '../../base/logger.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { type ApiError, formatApiError } from '../../kube/api-error.ts'
import type { ObjectCache } from '../../kube/cache.ts'
import type { KubeNode } from '../../kube/node.ts'
import { type KubeObject, type Manifest, objectKey, type UntypedObject } from '../../kube/object.ts'
import type { ClusterPod } from './cluster-pod.ts'
import { endpointSlices, isSameSlice, planEndpointSlices, type SelectingService } from './endpoint-slices.ts'
import { zoneLabel } from './node-objects.ts'

export interface SliceWriterOptions {
  readonly client: ApiClient
  readonly pods: ObjectCache<ClusterPod>
  readonly services: ObjectCache<SelectingService>
  readonly nodes: ObjectCache<KubeNode>
  /** Those that the lab manages. */
  readonly slices: ObjectCache<UntypedObject>
  readonly logger: Logger
}

type Change =
  | { readonly kind: 'create' | 'replace'; readonly manifest: Manifest }
  | { readonly kind: 'delete'; readonly slice: UntypedObject }

/** Brings the EndpointSlices to what services and pods say now; to be repeated when it answers false. */
export async function writeEndpointSlices(options: SliceWriterOptions, signal: AbortSignal): Promise<boolean> {
  const { client, pods, services, nodes, slices, logger } = options
  const zones = new Map(
    objectsOf(nodes).flatMap(({ metadata: { name, labels } }) =>
      labels[zoneLabel] === undefined ? [] : [[name, labels[zoneLabel]] as const],
    ),
  )
  const wanted = planEndpointSlices(objectsOf(services), objectsOf(pods), zones)
  const failures: ApiError[] = []
  for (const change of diffSlices(wanted, objectsOf(slices))) {
    const done = await apply(client, change, signal)
    if (!done.ok) failures.push(done.error)
  }
  // A conflict or a repeat only says that the cache is behind; the next notification brings it forward.
  const real = failures.filter(({ kind }) => !['alreadyExists', 'notFound', 'conflict'].includes(kind))
  for (const error of real) logger.warn('lab.endpoints.failed', { error: formatApiError(error) })
  return real.length === 0
}

export function diffSlices(wanted: readonly Manifest[], present: readonly UntypedObject[]): readonly Change[] {
  const byKey = new Map(present.map((slice) => [objectKey(slice.metadata), slice]))
  const changes = wanted.flatMap((manifest): Change[] => {
    const existing = byKey.get(objectKey(manifest.metadata))
    if (existing === undefined) return [{ kind: 'create', manifest }]
    if (isSameSlice(manifest, existing)) return []
    const { resourceVersion } = existing.metadata
    return [{ kind: 'replace', manifest: { ...manifest, metadata: { ...manifest.metadata, resourceVersion } } }]
  })
  const wantedKeys = new Set(wanted.map(({ metadata }) => objectKey(metadata)))
  const surplus = present.filter(({ metadata }) => !wantedKeys.has(objectKey(metadata)))
  return [...changes, ...surplus.map((slice) => ({ kind: 'delete', slice }) as const)]
}

function apply(
  client: ApiClient,
  change: Change,
  signal: AbortSignal,
): ReturnType<ApiClient['delete']> | ReturnType<ApiClient['create']> {
  switch (change.kind) {
    case 'create':
      return client.create(endpointSlices, change.manifest, signal)
    case 'replace':
      return client.replace(endpointSlices, change.manifest, signal)
    case 'delete': {
      const { name, namespace, uid } = change.slice.metadata
      return client.delete(endpointSlices, { name, ...(namespace !== undefined && { namespace }) }, { uid }, signal)
    }
  }
}

function objectsOf<T extends KubeObject>(cache: ObjectCache<T>): readonly T[] {
  return [...cache.snapshot().objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
}
