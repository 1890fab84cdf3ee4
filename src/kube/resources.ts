import { type EndpointSlice, parseEndpointSlice } from './endpoint-slice.ts'
import { parseLease } from './lease.ts'
import type { Lease } from './lease.ts'
import { type NativePodNetwork, parseNativePodNetwork } from './native-pod-network.ts'
import { type KubeNode, parseNode } from './node.ts'
import { type ObjectRef, parseUntyped, type Resource, type UntypedObject } from './object.ts'
import { parsePod, type Pod } from './pod.ts'
import { parseService, type Service } from './service.ts'

export const nodes: Resource<KubeNode> = {
  group: '',
  version: 'v1',
  plural: 'nodes',
  kind: 'Node',
  namespaced: false,
  parse: parseNode,
}

export const pods: Resource<Pod> = {
  group: '',
  version: 'v1',
  plural: 'pods',
  kind: 'Pod',
  namespaced: true,
  parse: parsePod,
}

export const services: Resource<Service> = {
  group: '',
  version: 'v1',
  plural: 'services',
  kind: 'Service',
  namespaced: true,
  parse: parseService,
}

export const endpointSlices: Resource<EndpointSlice> = {
  group: 'discovery.k8s.io',
  version: 'v1',
  plural: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
  parse: parseEndpointSlice,
}

/** The core group's Event: what `kubectl describe` reads on every version; events.k8s.io shows the same objects. */
export const events: Resource<UntypedObject> = {
  group: '',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
  parse: parseUntyped,
}

export const leases: Resource<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
  parse: parseLease,
}

export const nativePodNetworks: Resource<NativePodNetwork> = {
  group: 'oci.oraclecloud.com',
  version: 'v1beta1',
  plural: 'nativepodnetworks',
  kind: 'NativePodNetwork',
  namespaced: false,
  parse: parseNativePodNetwork,
}

export const customResourceDefinitions: Resource<UntypedObject> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
  parse: parseUntyped,
}

/** Path of a collection (no name) or of one object. */
export function resourcePath(
  resource: Pick<Resource<never>, 'group' | 'version' | 'plural' | 'namespaced'>,
  ref: Partial<ObjectRef>,
  subresource?: 'status',
): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  const inNamespace =
    resource.namespaced && ref.namespace !== undefined ? `/namespaces/${encodeURIComponent(ref.namespace)}` : ''
  const name = ref.name === undefined ? '' : `/${encodeURIComponent(ref.name)}`
  return `${root}${inNamespace}/${resource.plural}${name}${subresource === undefined ? '' : `/${subresource}`}`
}
