import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import type { FieldError } from '../../base/schema.ts'
import type { Result } from '../../base/result.ts'
import {
  type JsonObject,
  type KubeObject,
  type Manifest,
  objectMeta,
  type ObjectMeta,
  parserOf,
  parseUntyped,
  type Resource,
  type UntypedObject,
} from '../../kube/object.ts'
import { ownedBy } from '../../kube/object-reference.ts'
import { type ClusterPod, isPodOver, isPodReady, type PortRef, resolvePort, statusText } from './cluster-pod.ts'

/** A Service with a selector, as far as its endpoints are concerned. */
export interface SelectingService extends KubeObject {
  readonly metadata: ObjectMeta & { readonly namespace: string }
  /** Empty: somebody else says what its endpoints are. */
  readonly selector: Readonly<Record<string, string>>
  /** Virtual addresses; none of a headless one. */
  readonly clusterIps: readonly string[]
  readonly publishNotReadyAddresses: boolean
  readonly ports: readonly {
    readonly name: string
    readonly protocol: string
    readonly port: number
    readonly targetPort?: PortRef | undefined
  }[]
}

const service: z.ZodType<SelectingService> = z
  .object({
    metadata: objectMeta,
    spec: z.object({
      selector: z.record(z.string(), z.string()).nullish(),
      clusterIP: z.string().optional(),
      publishNotReadyAddresses: z.boolean().default(false),
      ports: z
        .array(
          z.object({
            name: z.string().default(''),
            protocol: z.string().default('TCP'),
            port: z.int(),
            targetPort: z.union([z.int(), z.string()]).optional(),
          }),
        )
        .nullish(),
    }),
  })
  .transform(({ metadata, spec }) => ({
    metadata: { ...metadata, namespace: metadata.namespace ?? 'default' },
    selector: spec.selector ?? {},
    clusterIps: spec.clusterIP === undefined || ['', 'None'].includes(spec.clusterIP) ? [] : [spec.clusterIP],
    publishNotReadyAddresses: spec.publishNotReadyAddresses,
    ports: spec.ports ?? [],
  }))

const parseService: (raw: unknown) => Result<SelectingService, readonly FieldError[]> = parserOf(service)

export const services: Resource<SelectingService> = {
  group: '',
  version: 'v1',
  plural: 'services',
  kind: 'Service',
  namespaced: true,
  parse: parseService,
}

export const endpointSlices: Resource<UntypedObject> = {
  group: 'discovery.k8s.io',
  version: 'v1',
  plural: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
  parse: parseUntyped,
}

// As the API describes them (discovery/v1, "EndpointSlice labels").
export const managedBy = { 'endpointslice.kubernetes.io/managed-by': 'vcn-lab' }
const serviceLabel = 'kubernetes.io/service-name'

/** The slices of all services: one for each set of port numbers that a service's pods have. */
export function planEndpointSlices(
  all: readonly SelectingService[],
  pods: readonly ClusterPod[],
  /** By the node's name. */
  zones: ReadonlyMap<string, string>,
): readonly Manifest[] {
  return all.filter(({ selector }) => Object.keys(selector).length > 0).flatMap((one) => slicesOf(one, pods, zones))
}

/** The same but for what the API adds. */
export function isSameSlice(manifest: Manifest, { metadata, raw }: UntypedObject): boolean {
  return (
    isDeepStrictEqual(raw['endpoints'] ?? [], manifest['endpoints']) &&
    isDeepStrictEqual(raw['ports'] ?? [], manifest['ports']) &&
    isDeepStrictEqual(metadata.labels, manifest.metadata['labels'])
  )
}

function slicesOf(
  owner: SelectingService,
  pods: readonly ClusterPod[],
  zones: ReadonlyMap<string, string>,
): readonly Manifest[] {
  const byPorts = new Map<string, { ports: readonly JsonObject[]; endpoints: JsonObject[] }>()
  for (const pod of pods.filter((one) => isBehind(owner, one))) {
    const ports = portsFor(owner, pod)
    const key = JSON.stringify(ports)
    const slice = byPorts.get(key) ?? { ports, endpoints: [] }
    slice.endpoints.push(endpointOf(pod, owner, zones.get(pod.nodeName ?? '')))
    byPorts.set(key, slice)
  }
  if (byPorts.size === 0) byPorts.set('', { ports: [], endpoints: [] })
  const { name, namespace } = owner.metadata
  return [...byPorts].map(([key, slice]) => ({
    metadata: {
      name: `${name}-${createHash('sha1').update(key).digest('hex').slice(0, 8)}`,
      namespace,
      labels: { [serviceLabel]: name, ...managedBy },
      ownerReferences: [ownedBy(services, owner)],
    },
    addressType: 'IPv4',
    ...slice,
  }))
}

/** Has an address, and is of the service's pods. A service without a selector has none. */
export function isBehind({ metadata, selector }: SelectingService, pod: ClusterPod): boolean {
  const labels = Object.entries(selector)
  return (
    labels.length > 0 &&
    labels.every(([key, value]) => pod.metadata.labels[key] === value) &&
    !isPodOver(pod) &&
    pod.metadata.namespace === metadata.namespace &&
    statusText(pod, 'podIP') !== undefined
  )
}

function endpointOf(
  pod: ClusterPod,
  { publishNotReadyAddresses }: SelectingService,
  zone: string | undefined,
): JsonObject {
  const { name, namespace, uid, deletionTimestamp } = pod.metadata
  const terminating = deletionTimestamp !== undefined
  const serving = isPodReady(pod)
  return {
    addresses: [statusText(pod, 'podIP') ?? ''],
    conditions: { ready: publishNotReadyAddresses || (serving && !terminating), serving, terminating },
    nodeName: pod.nodeName ?? '',
    ...(zone !== undefined && { zone }),
    targetRef: { kind: 'Pod', namespace, name, uid },
  }
}

function portsFor({ ports }: SelectingService, pod: ClusterPod): readonly JsonObject[] {
  return ports.flatMap(({ name, protocol, port, targetPort = port }) => {
    const number = resolvePort(pod, targetPort)
    return number === undefined ? [] : [{ name, protocol, port: number }]
  })
}
